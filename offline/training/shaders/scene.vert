#version 330
uniform mat4 u_view_projection;
uniform mat4 u_model;
uniform mat4 u_sun;
in vec3 in_position;
in vec3 in_normal;
in vec2 in_uv;
in vec3 in_color;
out vec3 v_world;
out vec3 v_normal;
out vec2 v_uv;
out vec3 v_color;
out vec3 v_sun;
void main() {
    vec4 world = u_model * vec4(in_position, 1.0);
    v_world = world.xyz;
    v_normal = mat3(u_model) * in_normal;
    v_uv = in_uv;
    v_color = in_color;
    v_sun = (u_sun * world).xyz * 0.5 + 0.5;
    gl_Position = u_view_projection * world;
}
