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

    /// The smallest one that has both points.
    pub fn around(one: Vec2, other: Vec2) -> Rect {
        let min = Vec2::new(lesser(one.x, other.x), lesser(one.y, other.y));
        let max = Vec2::new(greater(one.x, other.x), greater(one.y, other.y));
        Rect { min, max }
    }

    /// The same, larger by so much on each side.
    pub const fn grown(self, by: f32) -> Rect {
        Rect { min: Vec2::new(self.min.x - by, self.min.y - by), max: Vec2::new(self.max.x + by, self.max.y + by) }
    }

    /// Whether a point is in it or on its edge. This and [`Rect::meets`] only compare, which is what rules out nearly
    /// everything: calculating costs more, in a component twice as much, whose results must be the same on every machine.
    pub fn has(&self, point: Vec2) -> bool {
        self.min.x <= point.x && point.x <= self.max.x && self.min.y <= point.y && point.y <= self.max.y
    }

    /// Whether the two have a point in common.
    pub fn meets(&self, other: &Rect) -> bool {
        self.min.x <= other.max.x && other.min.x <= self.max.x && self.min.y <= other.max.y && other.min.y <= self.max.y
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
        let (min, max) = (self.min - from, self.max - from);
        let (mut enters, mut exits) = (0.0_f32, 1.0_f32);
        for (min, max, path) in [(min.x, max.x, path.x), (min.y, max.y, path.y)] {
            if path == 0.0 {
                if min > 0.0 || max < 0.0 {
                    return None;
                }
                continue;
            }
            let (one, other) = (min / path, max / path);
            enters = greater(enters, lesser(one, other));
            exits = lesser(exits, greater(one, other));
        }
        (enters <= exits).then_some(enters)
    }
}

/// The lesser of two numbers; none of them is a NaN. `f32::min` takes those into account, for which WebAssembly has no
/// instruction: it is a call there, this is not.
pub fn lesser(one: f32, other: f32) -> f32 {
    if one < other { one } else { other }
}

/// The greater of two numbers; none of them is a NaN. See [`lesser`].
pub fn greater(one: f32, other: f32) -> f32 {
    if one > other { one } else { other }
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
