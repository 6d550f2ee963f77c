//! Circles, segments and rectangles: as much as the arena needs.

use glam::Vec2;

/// An axis-parallel rectangle.
#[derive(Clone, Copy, Debug)]
pub struct Rect {
    /// The corner nearest to the origin.
    pub min: Vec2,
    /// The corner opposite to it.
    pub max: Vec2,
}

impl Rect {
    /// From left, top, width and height.
    pub const fn new(x: f32, y: f32, width: f32, height: f32) -> Rect {
        Rect { min: Vec2::new(x, y), max: Vec2::new(x + width, y + height) }
    }

    /// Left, top, width and height.
    pub fn sides(&self) -> [f32; 4] {
        let size = self.max - self.min;
        [self.min.x, self.min.y, size.x, size.y]
    }

    /// Where the centre of a circle comes to lie that is pushed out of the rectangle. The centre
    /// itself must be outside.
    pub fn push_out(&self, centre: Vec2, radius: f32) -> Vec2 {
        let nearest = centre.clamp(self.min, self.max);
        match (centre - nearest).try_normalize() {
            Some(away) if centre.distance_squared(nearest) < radius * radius => nearest + away * radius,
            _ => centre,
        }
    }

    /// How far along `path` (0 to 1) a point that starts at `from` enters the rectangle.
    pub fn entered_by(&self, from: Vec2, path: Vec2) -> Option<f32> {
        let (mut enters, mut exits) = (0.0_f32, 1.0_f32);
        for axis in 0..2 {
            let (min, max) = (self.min[axis] - from[axis], self.max[axis] - from[axis]);
            if path[axis] == 0.0 {
                if min > 0.0 || max < 0.0 {
                    return None;
                }
                continue;
            }
            let (one, other) = (min / path[axis], max / path[axis]);
            enters = enters.max(one.min(other));
            exits = exits.min(one.max(other));
        }
        (enters <= exits).then_some(enters)
    }
}

/// How far along `path` (0 to 1) a point that starts at `from` enters a circle.
pub fn circle_entered_by(centre: Vec2, radius: f32, from: Vec2, path: Vec2) -> Option<f32> {
    let towards = from - centre;
    let gap = towards.length_squared() - radius * radius;
    if gap <= 0.0 {
        return Some(0.0);
    }
    // |towards + t * path| = radius, the smaller solution.
    let (a, half_b) = (path.length_squared(), towards.dot(path));
    let discriminant = half_b * half_b - a * gap;
    if a == 0.0 || discriminant < 0.0 {
        return None;
    }
    let enters = (-half_b - discriminant.sqrt()) / a;
    (0.0..=1.0).contains(&enters).then_some(enters)
}
