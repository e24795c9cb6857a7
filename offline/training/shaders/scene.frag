#version 330
// Compiled once a material (see meshes.Material): a software rasterizer runs both sides of every
// branch, so what does not concern a material must not be in its program. DEPTH_ONLY draws the
// shadow map.
#ifndef MATERIAL
#define MATERIAL 3
#endif
uniform sampler2D u_noise;
uniform sampler2D u_shadow;
uniform vec3 u_eye;
uniform vec3 u_sun_direction;
uniform vec3 u_sun_color;
uniform vec3 u_ambient;
uniform vec3 u_haze;
uniform float u_haze_per_m;
uniform float u_half_width;
uniform float u_lanes;
uniform float u_markings;      // 0 none, 1 dashed centre, 2 solid centre, 3 double centre
uniform float u_edge_lines;
uniform float u_marking_wear;
uniform float u_pavement;      // 1 where a raised pavement borders the road, 0 for a verge
uniform float u_wetness;
uniform float u_asphalt;
uniform vec3 u_verge_color;
uniform vec3 u_line_color;
uniform int u_junctions;
uniform vec3 u_junction[12];   // x, y, radius
in vec3 v_world;
in vec3 v_normal;
in vec2 v_uv;
in vec3 v_color;
in vec3 v_sun;
out vec4 color;

vec4 noise(vec2 p) { return texture(u_noise, p); }

float band(float x, float centre, float half_width) {
    return step(abs(x - centre), half_width);
}

#if MATERIAL == 0
vec3 road() {
    float u = v_uv.x, s = v_uv.y;
    vec4 fine = noise(v_world.xy * 0.9), broad = noise(v_world.xy * 0.045);
    vec4 along = noise(vec2(u * 0.13, s * 0.006));
    float grey = u_asphalt * (0.72 + 0.35 * fine.r + 0.35 * (broad.g - 0.5) + 0.4 * (along.b - 0.5));
    // Cracks and tar seams follow the noise's level lines.
    float crack = smoothstep(0.012, 0.0, abs(noise(v_world.xy * 0.021).g - 0.5));
    grey *= 1.0 - 0.55 * crack * step(0.45, broad.b);
    vec3 c = vec3(grey) * mix(vec3(1.0), v_color, 0.5);
    bool inside = false;
    for (int i = 0; i < u_junctions; i++)
        inside = inside || distance(v_world.xy, u_junction[i].xy) < u_junction[i].z;
    float outside = abs(u) - u_half_width;
    if (inside) return c;
    if (outside > 0.0) {
        if (u_pavement > 0.5) {
            float kerb = step(outside, 0.16);
            vec2 slab = fract(vec2(outside, s) / vec2(0.9, 0.9));
            float joint = step(0.06, slab.x) * step(0.06, slab.y);
            vec3 paving = vec3(0.46 + 0.16 * fine.g) * (0.75 + 0.25 * joint);
            c = mix(paving, vec3(0.62), kerb);
            if (outside > 2.4) c = u_verge_color * (0.4 + 1.2 * fine.r) * (0.6 + 0.8 * broad.r);
        } else {
            float ragged = outside + 1.6 * (noise(v_world.xy * 0.15).r - 0.5);
            vec3 gravel = vec3(0.42, 0.39, 0.34) * (0.5 + fine.r);
            vec3 grass = u_verge_color * (0.25 + 1.4 * fine.g) * (0.5 + broad.r);
            c = mix(gravel, grass, smoothstep(0.2, 0.9, ragged));
        }
        return c;
    }
    if (v_color.b < 0.55) return c;             // side roads carry no markings
    float paint = 0.0;
    float lane = 2.0 * u_half_width / u_lanes;
    if (u_markings > 0.5) {
        for (float k = 1.0; k < 5.5; k += 1.0) {
            if (k > u_lanes - 0.5) break;
            float place = -u_half_width + k * lane;
            bool centre = abs(place) < 0.01 && u_lanes < 2.5;
            if (centre && u_markings > 2.5)
                paint = max(paint, band(abs(u), 0.16, 0.06));
            else if (centre && u_markings > 1.5)
                paint = max(paint, band(u, 0.0, 0.07));
            else
                paint = max(paint, band(u, place, 0.07) * step(fract(s / 9.0), 0.4));
        }
    }
    if (u_edge_lines > 0.5) paint = max(paint, band(abs(u), u_half_width - 0.35, 0.07));
    float worn = smoothstep(u_marking_wear - 0.2, u_marking_wear + 0.2, noise(v_world.xy * 0.4).b);
    bool yellow = abs(u) < 0.6 && u_lanes < 2.5;
    vec3 line = yellow ? u_line_color : vec3(0.85);
    return mix(c, line, paint * worn);
}

#endif

#if MATERIAL == 2
vec3 facade() {
    vec2 p = v_uv;                              // metres along the wall and above its foot
    vec4 n = noise(v_world.xy * 0.07 + v_world.z * 0.05);
    vec3 c = v_color * (0.85 + 0.3 * (n.g - 0.5));
    float id = fract(v_color.r * 91.7 + v_color.g * 37.3);
    float pitch_x = 1.9 + 1.6 * id, pitch_y = 2.7;
    vec2 cell = vec2(fract(p.x / pitch_x), fract(p.y / pitch_y));
    vec2 at = abs(cell - vec2(0.5, 0.55));
    float w = 0.17 + 0.13 * fract(id * 7.1);
    if (at.x < w && at.y < 0.27) {
        float lit = noise(floor(p / vec2(pitch_x, pitch_y)) * 0.173 + id).r;
        c = mix(vec3(0.06, 0.07, 0.09), vec3(0.75), step(0.62, lit) * 0.8);
        if (at.x > w - 0.035 || at.y > 0.24 || at.x < 0.012) c = vec3(0.75);
    } else if (at.x < w + 0.14 && at.y < 0.27 && fract(id * 13.7) > 0.6) {
        c = v_color * 0.4;                      // shutters
    }
    if (p.y < 0.7) c *= 0.65;
    return c;
}
#endif

void main() {
#ifdef DEPTH_ONLY
#define FINISH_DEPTH color = vec4(0.0); return;
#else
#define FINISH_DEPTH
#endif
    vec3 normal = normalize(v_normal + vec3(0.0, 0.0, 1e-6));
    vec3 c = v_color;
#if MATERIAL == 4
    // Crown of a tree: a ragged, lobed disc.
    vec2 p = v_uv * 2.0 - 1.0;
    vec4 n = noise(v_uv * 0.55 + v_color.rg * 17.0);
    vec4 leaf = noise(v_uv * 2.3 + v_color.gb * 11.0);
    float edge = length(p * vec2(1.0, 0.95)) + 0.9 * (n.r - 0.5) + 0.5 * (leaf.g - 0.5);
    if (edge > 0.82) discard;
    FINISH_DEPTH
    c = v_color * (0.25 + 1.5 * leaf.r * leaf.r) * (0.55 + 0.45 * v_uv.y);
    normal = normalize(vec3(p.x * 0.7 * v_normal.y, -p.x * 0.7 * v_normal.x, 0.6 + 0.5 * p.y));
#elif MATERIAL == 5
    // Conifer: a ragged triangle.
    vec2 p = v_uv;
    vec4 leaf = noise(v_uv * vec2(1.1, 2.3) + v_color.gb * 11.0);
    float half_width = (1.0 - p.y) * 0.5 * (0.75 + 0.6 * fract(p.y * 7.0 + leaf.g));
    if (abs(p.x - 0.5) > half_width + 0.25 * (leaf.r - 0.5)) discard;
    FINISH_DEPTH
    c = v_color * (0.2 + 1.5 * leaf.r * leaf.r);
    normal = vec3(0.0, 0.0, 1.0);
#elif MATERIAL == 8
    // Hedge or bush with a ragged top.
    vec4 n = noise(v_uv * 0.35), leaf = noise(v_uv * 1.1);
    if (v_uv.y > 0.65 + 0.7 * n.r && v_normal.z < 0.5) discard;
    FINISH_DEPTH
    c = v_color * (0.2 + 1.6 * leaf.g * leaf.g) * (0.6 + 0.6 * n.r);
#elif defined(DEPTH_ONLY)
    color = vec4(0.0);
    return;
#elif MATERIAL == 0
    c = road();
#elif MATERIAL == 1
    // Open ground.
    vec4 fine = noise(v_world.xy * 0.22), broad = noise(v_world.xy * 0.011);
    vec4 mid = noise(v_world.xy * 0.05);
    c = v_color * (0.3 + 1.2 * fine.r) * (0.45 + 1.1 * broad.g) * (0.7 + 0.6 * mid.b);
#elif MATERIAL == 2
    c = facade();
#elif MATERIAL == 3
    c *= 0.8 + 0.4 * noise(v_uv * 0.31 + v_world.xy * 0.06).r;
#elif MATERIAL == 6
    // Paint and glass of a car.
    vec3 to_eye = normalize(u_eye - v_world);
    float grazing = pow(1.0 - abs(dot(normal, to_eye)), 3.0);
    c = mix(c, u_haze, 0.35 * grazing + 0.12 * max(normal.z, 0.0));
#elif MATERIAL == 7
    // Bark, fence: strong vertical grain.
    c *= 0.5 + noise(v_uv * vec2(0.9, 0.12)).r;
#endif
    float facing = max(dot(normal, u_sun_direction), 0.0);
#if MATERIAL == 4 || MATERIAL == 5 || MATERIAL == 8
    facing = 0.35 + 0.65 * facing;
#endif
    float lit = 1.0;
    if (all(greaterThan(v_sun, vec3(0.0))) && all(lessThan(v_sun, vec3(1.0))))
        lit = step(v_sun.z - 0.0022, texture(u_shadow, v_sun.xy).r);
    vec3 light = u_ambient * (0.7 + 0.3 * normal.z) + u_sun_color * facing * lit;
#if MATERIAL == 0
    vec3 away = normalize(v_world - u_eye);
    float mirror = pow(clamp(1.0 + away.z * 3.0, 0.0, 1.0), 2.0);
    c = mix(c * (1.0 - 0.4 * u_wetness), u_haze / max(light, vec3(0.05)), u_wetness * mirror * 0.6);
#endif
    float range = distance(v_world, u_eye);
    color = vec4(mix(u_haze, c * light, exp(-range * u_haze_per_m)), 1.0);
}
