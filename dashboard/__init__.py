"""What runs in the office: the web dashboard over the result store."""
