//! The board: 15 by 15, freestyle, so five or more in a row win. The moves in their order are the
//! whole state; black made the first, and colours alternate.

use serde::{Deserialize, Serialize};

/// Points on a side.
pub const SIDE: i64 = 15;

/// How many in a row win.
const ROW: usize = 5;

/// Column and row, each from 0 to 14.
pub type Point = (i64, i64);

/// Why a stone cannot be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misplaced {
    /// The point is not on the board.
    OffBoard,
    /// There is a stone on it.
    Occupied,
}

/// The stones on the board.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Board {
    moves: Vec<Point>,
}

impl Board {
    /// All moves, black's first.
    pub fn moves(&self) -> &[Point] {
        &self.moves
    }

    /// Places the next stone.
    pub fn place(&mut self, point: Point) -> Result<(), Misplaced> {
        let on_side = |at: i64| (0..SIDE).contains(&at);
        if !on_side(point.0) || !on_side(point.1) {
            return Err(Misplaced::OffBoard);
        }
        if self.moves.contains(&point) {
            return Err(Misplaced::Occupied);
        }
        self.moves.push(point);
        Ok(())
    }

    /// The row that the last stone completed, from end to end; empty if it did not win.
    pub fn winning_row(&self) -> Vec<Point> {
        let Some(&last) = self.moves.last() else {
            return Vec::new();
        };
        const DIRECTIONS: [Point; 4] = [(1, 0), (0, 1), (1, 1), (1, -1)];
        DIRECTIONS
            .into_iter()
            .map(|(dx, dy)| {
                let mut row = self.run(last, (-dx, -dy));
                row.reverse();
                row.push(last);
                row.extend(self.run(last, (dx, dy)));
                row
            })
            .find(|row| row.len() >= ROW)
            .unwrap_or_default()
    }

    /// Whether no point is free.
    pub fn is_full(&self) -> bool {
        self.moves.len() as i64 == SIDE * SIDE
    }

    /// The stones of the last mover's colour that follow one another from a point, without it.
    fn run(&self, from: Point, (dx, dy): Point) -> Vec<Point> {
        (1..)
            .map(|step| (from.0 + dx * step, from.1 + dy * step))
            .take_while(|&point| self.is_last_movers(point))
            .collect()
    }

    fn is_last_movers(&self, point: Point) -> bool {
        let mut own = self.moves.iter().rev().step_by(2);
        own.any(|&stone| stone == point)
    }
}
