"""Training, evaluation and synthetic data for the road scene network (extras `train`, `synth`)."""
