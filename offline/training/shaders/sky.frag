#version 330
// Sky, clouds, sun, and hills too far to be geometry.
uniform sampler2D u_noise;
uniform mat3 u_camera;         // columns: right, up, backward
uniform vec2 u_tangent;        // half-angle tangents, horizontal and vertical
uniform vec3 u_turned;         // of the camera from the first row's reading out to the last one's
uniform vec3 u_zenith;
uniform vec3 u_haze;
uniform vec3 u_sun_direction;
uniform vec3 u_sun_color;
uniform float u_clouds;
uniform vec3 u_far_color;
uniform float u_far_height;    // radians
uniform float u_far_roughness;
uniform float u_seed;
in vec2 v_corner;
out vec4 color;
void main() {
    vec3 d = normalize(u_camera * vec3(v_corner * u_tangent, -1.0));
    d += cross(-0.5 * v_corner.y * u_turned, d);
    float up = max(d.z, 0.0);
    vec3 c = mix(u_haze, u_zenith, 1.0 - exp(-4.0 * up));
    vec2 p = d.xy / (0.12 + up);
    float cloud = texture(u_noise, p * 0.05 + u_seed).g * 0.7 + texture(u_noise, p * 0.21 + u_seed).r * 0.3;
    c = mix(c, vec3(1.0) * (0.6 + 0.5 * u_haze.b), smoothstep(0.75 - 0.5 * u_clouds, 1.0 - 0.5 * u_clouds, cloud) * 0.9);
    float glow = max(dot(d, u_sun_direction), 0.0);
    c += u_sun_color * (0.35 * pow(glow, 24.0) + 3.0 * step(0.9993, glow));
    float azimuth = atan(d.y, d.x);
    float ridge = u_far_height * (0.25 + 1.1 * texture(u_noise, vec2(azimuth * 0.11 + u_seed, u_seed)).b)
                + u_far_roughness * (texture(u_noise, vec2(azimuth * 2.1, u_seed)).r - 0.4);
    if (d.z < ridge) {
        float grain = texture(u_noise, vec2(azimuth * 3.0, d.z * 5.0)).r;
        c = mix(u_far_color * (0.5 + grain), u_haze, 0.35);
    }
    color = vec4(c, 1.0);
}
