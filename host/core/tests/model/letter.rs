//! What is under way between the services of the model.
//!
//! Those between SceneMaster and a node stand for events of `scene_service` and `scene_master` of the same meaning.

/// A scene by its place among the records of the store.
pub type SceneNo = u8;
/// Which incarnation.
pub type Inc = u8;
/// Which way into a scene.
pub type Token = u8;

/// The users of the match; each one's seat has the user's number.
pub const USERS: usize = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Letter {
    /// Match asks for the scene of the match.
    ReqCreateScene,
    /// An order of the owner with this epoch to a node.
    Order { owner: u8, node: usize, order: Order },
    /// A node to whoever is SceneMaster.
    Report(Report),
    /// A user is told a way in, by the answer to the match or to the question for it.
    Way(usize, Way),
    /// A user asks for a way in.
    ReqRejoin(usize),
}

/// A way into a scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Way {
    pub token: Token,
    pub node: usize,
    pub scene: SceneNo,
    pub inc: Inc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Order {
    Create { scene: SceneNo, inc: Inc, tokens: [Token; USERS] },
    Destroy { scene: SceneNo, inc: Inc },
    AddToken { scene: SceneNo, inc: Inc, seat: usize, token: Token },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Report {
    pub node: usize,
    pub scene: SceneNo,
    pub inc: Inc,
    pub what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// ResCreateScene, and whether the scene runs.
    Created(bool),
    Joined(usize),
    Left(usize),
    Asks(Why),
    /// ResDestroyScene.
    Destroyed,
    /// ResAddToken, and whether the scene has noted it.
    TokenAdded(usize, bool),
}

/// Why a scene asks for its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    Finished,
    Crashed,
    Empty,
}
