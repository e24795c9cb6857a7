#version 330
uniform mat4 u_view_projection;
uniform mat4 u_model;
uniform mat4 u_sun;
uniform vec3 u_eye;
uniform vec3 u_moved;          // of the camera from the first row's reading out to the last one's
uniform vec3 u_turned;
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
    // What is seen in an upper row was seen before the camera moved on. A wall's top may be far
    // above the picture; what lies below it, beside or behind the camera has no row.
    float row = clamp(gl_Position.y / max(gl_Position.w, 0.3), -1.0, 4.0);
    float when = -0.5 * row;
    vec3 seen = world.xyz - u_eye - when * u_moved;
    seen -= when * cross(u_turned, seen);
    gl_Position = u_view_projection * vec4(u_eye + seen, 1.0);
}
