//! What the simulations need not reach, and why. It is tested by the rules, like everything in the tables.

/// A table, the beginning of its rows, the columns, and the reason.
pub struct Excused {
    pub table: &'static str,
    /// With `*` at its end: every row that begins so.
    pub row: &'static str,
    /// Without any: all.
    pub columns: &'static [&'static str],
    pub why: &'static str,
}

const fn excused(
    table: &'static str,
    row: &'static str,
    columns: &'static [&'static str],
    why: &'static str,
) -> Excused {
    Excused { table, row, columns, why }
}

impl Excused {
    pub fn is_about(&self, table: &str, row: &str, column: &str) -> bool {
        let columns = self.columns;
        let is_row = self.row.strip_suffix('*').map_or(self.row == row, |begins| row.starts_with(begins));
        self.table == table && is_row && (columns.is_empty() || columns.contains(&column))
    }
}

pub const CELLS: &[Excused] = &[
    excused("scene-master", "ResCreateScene*", &["(none)"], "a scene is known for longer than any message is late"),
    excused("scene-master", "ReqAskDestroyScene*", &["(none)"], "a scene is known for longer than any message is late"),
    excused(
        "scene-master",
        "ResCreateScene, other epoch",
        &["Reserved", "Empty", "Draining", "Stopping", "Stopping, unrecorded"],
        "what an incarnation before has to say comes sooner than the next one is in these states",
    ),
    excused("scene-master", "SynUserJoined, unknown seat", &[], "nodes know the seats that there are"),
    excused(
        "scene-master",
        "ReqAskDestroyScene Finished, decided",
        &["Ready", "Reserved", "Empty"],
        "a game that nobody plays has no results",
    ),
    excused("scene-master", "ReqAskDestroyScene Empty", &["Ready", "Reserved"], "only a scene with seats is empty"),
    excused("scene-master", "ResRecord, refused", &[], "Db refuses no results that a game can have"),
    excused(
        "scene-master",
        "ResDestroyScene",
        &["Ready", "Reserved", "Allocated", "Running", "Empty", "Draining"],
        "nodes end nothing by themselves",
    ),
    excused("scene-master", "ResDestroyScene, other epoch", &["Placing, anew"], "few starts are given up unheard"),
    excused("scene-master", "ReqCreateScene, same match", &["Empty"], "whose users are gone asks for its end at once"),
    excused("scene-master", "ReqRejoin", &["Empty"], "nobody has a seat in it"),
    excused("scene-master", "ReqRejoin", &["Placing"], "the lobby knows of a scene when it is there"),
    excused("scene-master", "ResAddToken*", &["Placing"], "a way back is opened when the scene is there"),
    excused(
        "scene-master",
        "ResAddToken, refused",
        &["Allocated", "Empty", "Draining"],
        "a scene refuses a way back once it has asked for its end",
    ),
    excused("scene-master", "ReqCreateScene, same match", &["Reserved"], "who is reserved for is not matched by then"),
    excused(
        "scene-master",
        "ResCreateScene, other epoch",
        &["Suspect"],
        "a node is silent for longer than a message of an incarnation before is late",
    ),
    excused(
        "scene-master",
        "ReqAskDestroyScene*",
        &["Suspect"],
        "few games come to their end while their node is not heard",
    ),
    excused(
        "scene",
        "End Finished, kept",
        &["Running, seat 0 resumed"],
        "few games are over in the moment in which a user comes back",
    ),
    excused("scene-master", "ResDestroyScene", &["Suspect"], "nodes end nothing by themselves"),
    excused("scene-master", "SynReport, other epoch", &["Suspect"], "few nodes are silent while a scene moves on"),
    excused(
        "scene-master",
        "SynReport, other epoch",
        &["(none)"],
        "of a scene that is not known all epochs are counted as one",
    ),
    excused("scene-master", "SynUserJoined", &["Empty"], "few come in while the order to remove them is lost"),
    excused("scene-master", "ReqCancelScene", &[], "few searches end while their match is placed, and few of them so"),
    excused(
        "scene-master",
        "ReqGiveUpSeat",
        &[],
        "few matches come for a search of which the user was told that it is over",
    ),
    excused(
        "scene-master",
        "ReqJoinInProgress",
        &["(none)", "Placing", "Placing, anew", "Suspect", "Reserved", "Empty", "Draining", "Stopping"],
        "few ask for a scene that is not played in, and then it is as with one that has ended",
    ),
    excused(
        "scene-master",
        "ReqWatch",
        &[
            "(none)",
            "Placing",
            "Placing, anew",
            "Restarting",
            "Suspect",
            "Reserved",
            "Empty",
            "Draining",
            "Stopping",
            "Stopping, unrecorded",
        ],
        "few ask for a scene that is not played in, and then it is as with one that has ended",
    ),
    excused("scene-master", "ReqWatch, by who plays", &[], "the lobby refuses that before"),
    excused(
        "scene-master",
        "ResCreateScene, other epoch",
        &["Releasing"],
        "what an incarnation before has to say comes sooner than the next one moves",
    ),
    excused("scene-master", "ResDestroyScene", &["Releasing"], "nodes end nothing by themselves"),
    excused("scene-master", "ReqWatch", &["Releasing"], "few ask for a scene in the moment of its move"),
    excused("scene-master", "Stopping", &["Releasing"], "few hosts stop in the moment of a move"),
    excused(
        "scene-master",
        "SynReport, other epoch",
        &["Reserved", "Releasing"],
        "few nodes are silent while a scene moves on",
    ),
    excused("scene-master", "ResReleaseScene", &["Empty"], "few scenes are let go when nobody waits for that any more"),
    excused(
        "scene-master",
        "ReqSeat",
        &["Ready", "Reserved", "Empty", "Stopped", "Stopped, unrecorded"],
        "nobody has a seat in it, so it is as with a user in no scene",
    ),
    excused("scene-service", "ReqReleaseScene*", &["Starting", "Ending", "Kept"], "SceneMaster moves scenes that run"),
    excused("scene", "Release", &["Starting", "Stopping", "Kept"], "SceneMaster moves scenes that run"),
    excused(
        "scene",
        "End Finished, kept",
        &["Running, seat 0 dropped"],
        "few games are over while the user of the first seat is away",
    ),
    excused("scene-service", "ReqCreateScene", &["Ending"], "an order is not late by a whole session"),
    excused(
        "scene-service",
        "ReqCreateScene, other epoch",
        &["Starting"],
        "SceneMaster orders the next incarnation when the one before runs or has ended",
    ),
    excused(
        "scene-service",
        "ReqCreateScene, next session",
        &["none", "Starting", "Ending"],
        "an instance is used again on the node that has it",
    ),
    excused("scene-service", "ResStart", &["none"], "a start that is given up is ended before it is answered"),
    excused("scene-service", "ReqDestroyScene, kept", &["none", "Starting"], "only what runs is kept"),
    excused("scene-service", "ResEnd", &["Starting", "Running", "Kept"], "scenes end nothing by themselves"),
    excused(
        "scene-service",
        "ResEnd, kept",
        &["none"],
        "few sessions are given up before it is said that they are kept",
    ),
    excused("scene-service", "ReqDrainScene", &["Starting", "Ending", "Kept"], "games are told while they run"),
    excused(
        "scene-service",
        "ReqAddToken*",
        &["Starting", "Ending", "Kept"],
        "SceneMaster opens a way back to scenes that run",
    ),
    excused("scene-service", "ReqRemoveUser", &["Kept"], "the session of its user is over"),
    excused(
        "scene-service",
        "ReqAddToken, other epoch",
        &["Running"],
        "few ways back are opened while a scene begins anew on the same node",
    ),
    excused("scene-service", "ReqAddSeats*", &[], "few games take somebody in at the moment of their end"),
    excused("scene-service", "ReqAddSpectator*", &[], "few games are watched from the moment of their end on"),
    excused(
        "scene-service",
        "Tick at the deadline",
        &["none", "Running", "Kept"],
        "that nodes report by themselves is counted where SceneMaster hears it",
    ),
    excused("scene", "*", &["Ended"], "a scene is gone with its last effect"),
    excused("scene", "Admitted*", &["Starting", "Asked"], "a game answers within the step"),
    excused(
        "scene",
        "ReqJoinScene, seat 0, after a frame that is not known",
        &["Starting", "Stopping"],
        "few clients are so confused, and there it is as in a scene that runs, or as with a frame that is known",
    ),
    excused(
        "scene",
        "ReqJoinScene, seat 0",
        &["Running, seat 0 resumed"],
        "few clients come back, and then once more with a token that was used",
    ),
    excused("scene", "ReqLeaveScene", &["Starting"], "few clients leave where they are not"),
    excused("scene", "Admitted, refused", &["Stopping"], "few games refuse users and are told to stop"),
    excused(
        "scene",
        "End Finished",
        &["Running, seat 0 dropped", "Running, seat 0 resumed"],
        "SceneMaster ends a scene so whose users it does not know to be inside",
    ),
    excused("scene", "Kick", &["Starting"], "a game does nothing before it has begun"),
    excused("scene", "Failed", &["Starting"], "a game does nothing before it has begun"),
    excused("scene", "AddToken", &["Starting", "Stopping"], "SceneMaster opens a way back to scenes that run"),
    excused(
        "scene",
        "ReqJoinScene, seat 1",
        &["Kept"],
        "few come in after the session, and then it is as for the user of seat 0",
    ),
    excused("scene", "Admitted*", &["Kept"], "a game answers within the step"),
    excused("scene", "Report", &["Stopping"], "few nodes report in the moment of a stop"),
    excused("scene", "AddToken", &["Kept"], "SceneMaster opens a way back to scenes that run"),
    excused("scene", "AddSeats", &["Starting", "Stopping", "Kept"], "SceneMaster adds seats to scenes that run"),
    excused("scene", "AddSpectator", &["Starting", "Stopping", "Kept"], "SceneMaster lets scenes be watched that run"),
    excused("scene", "ReqWatchScene", &["Starting"], "a way to watch is opened to scenes that run"),
    excused(
        "scene",
        "End Finished, kept",
        &["Starting"],
        "a session is over before its game has begun only if all its users leave at once",
    ),
    excused("match", "Domain", &[], "simulated operators change no domains"),
    excused("match", "Removed", &[], "simulated operators change no domains"),
    excused("scene", "End Stopped", &["Starting"], "few scenes are stopped in the moment of their start"),
];

/// The same of refusals: the service, the refusal as it is written in the list, and the reason.
pub const REFUSALS: &[(&str, &str, &str)] = &[
    ("scene-service", "NotFound: \"fleet named \"", "nodes know the fleets that SceneMaster knows"),
    ("scene", "Busy: \"you play in this game\"", "SceneMaster refuses that before"),
    (
        "scene",
        "SceneFull: \"as many as may watch this game do so already: try again later\"",
        "SceneMaster counts who watches",
    ),
    ("scene-service", "Busy: \"this scene is still starting\"", "SceneMaster moves scenes that run"),
    ("scene", "Busy: \"this scene is still starting\"", "SceneMaster moves scenes that run"),
    (
        "scene",
        "Invalid: \"this game has no journal from which it could go on elsewhere: it plays on where it is\"",
        "SceneMaster refuses that before",
    ),
    (
        "scene-master",
        "Busy: \"a game is being opened for you to watch already\"",
        "few ask to watch twice in the moment in which the first way is opened",
    ),
    ("scene-master", "Invalid: \"node \"", "simulated nodes are in no region"),
    ("scene-master", "Overloaded: \"scenes that are being moved\"", "a simulated host has fewer scenes"),
    ("scene-master", "ServiceDown: \"Lobby\"", "it is told nobody but a lobby that is gone"),
    ("scene-master", "TimedOut: \"letting the game go\"", "a node that is silent for so long is declared down before"),
    (
        "scene-master",
        "Busy: \"this game is not well now: choose another one, or try again later\"",
        "few join a game whose node is silent",
    ),
    ("scene-master", "Busy: \"you play in this game: who plays does not watch\"", "the lobby refuses that before"),
    (
        "scene-master",
        "Forbidden: \"somebody whom you have blocked is in this game: choose another one\"",
        "simulated users block nobody",
    ),
    ("scene-master", "Forbidden: \"this game cannot be watched\"", "all simulated games can be watched"),
    (
        "scene-master",
        "Forbidden: \"you may not watch this game\"",
        "few are stopped from watching while the way to that is still being opened for them",
    ),
    (
        "scene-master",
        "Quarantined",
        "whether a version has failed too often its registry knows, and simulated hosts have none",
    ),
    ("scene-master", "NotFound: \"user \"", "simulated operators remove nobody"),
    (
        "scene-master",
        "Busy: \"you are in a game: go back with req_rejoin, or leave it first\"",
        "the lobby refuses that before",
    ),
    ("scene-master", "NotFound: \"server for games in the region \"", "simulated matches want no region"),
    ("scene-master", "Overloaded: \"scenes in this region\"", "simulated matches want no region"),
    (
        "scene-master",
        "Invalid: \"seats are filled with one user or more, each of them once\"",
        "Match fills seats with the users of tickets, and a user has one ticket",
    ),
    (
        "scene-master",
        "Forbidden: \"one of the players is or was in this game already\"",
        "Match is told who plays or has played in a game that looks for players",
    ),
    (
        "scene-master",
        "SceneFull: \"the places that were open in this game are taken\"",
        "Match fills the places of which it was told that they are open, and few of them are taken on the way",
    ),
];
