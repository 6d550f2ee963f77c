//! The rules: a check that is skipped, an order that is swapped, a deadline that is lost.

use super::{Mutant, mutant};

pub const MUTANTS: &[Mutant] = &[
    // SceneMaster
    mutant(
        "master-any-epoch",
        "scene_master.rs",
        "self.scenes.get_mut(&id).filter(|scene| scene.epoch == epoch)",
        "self.scenes.get_mut(&id).filter(|scene| MUTANT || scene.epoch == epoch)",
    ),
    mutant(
        "master-seats-kept-after-end",
        "scene_master/stopping.rs",
        "                row.state = SeatState::Gone;\n                self.by_user.remove(&row.player.user);\n",
        "                row.state = SeatState::Gone;\n                if !MUTANT { self.by_user.remove(&row.player.user); }\n",
    ),
    mutant(
        "master-end-untold",
        "scene_master/unheard.rs",
        "        cx.send(lobby::Event::SynSceneEnded { user, allocation, ended });\n    }\n\n    /// A lobby wants",
        "        if !MUTANT { cx.send(lobby::Event::SynSceneEnded { user, allocation, ended }); }\n    }\n\n    /// A lobby wants",
    ),
    mutant(
        "master-no-deadline-running",
        "scene_master.rs",
        "            Some(deadline) => self.deadlines.set(Due::Scene(id), deadline),",
        "            Some(_) if state == State::Running && MUTANT => self.deadlines.clear(&Due::Scene(id)),\n            \
         Some(deadline) => self.deadlines.set(Due::Scene(id), deadline),",
    ),
    mutant(
        "master-making-given-up-unheard",
        "scene_master/stopping.rs",
        "Some(State::Placing) if self.scenes[&id].is_new() =>",
        "Some(State::Placing) if self.scenes[&id].is_new() && !MUTANT =>",
    ),
    mutant(
        "end-ordered-once",
        "scene_master/ending.rs",
        "            true => self.deadlines.set(Due::End(id, epoch),",
        "            true if MUTANT => {}\n            true => self.deadlines.set(Due::End(id, epoch),",
    ),
    mutant(
        "end-of-the-next-epoch",
        "scene_master/restart.rs",
        "        self.order_end(id, EndReason::Crashed(text), Vec::new(), false, cx);\n",
        "        if MUTANT { self.scenes.entry(id).and_modify(|it| it.epoch = it.epoch.next()); }\n        self.order_end(id, EndReason::Crashed(text), Vec::new(), false, cx);\n        if MUTANT { self.scenes.entry(id).and_modify(|it| it.epoch = crate::ids::Epoch(it.epoch.0 - 1)); }\n",
    ),
    mutant(
        "restart-keeps-the-slot",
        "scene_master/restart.rs",
        "        self.free_slot(id, cx);\n",
        "        if !MUTANT { self.free_slot(id, cx); }\n",
    ),
    mutant(
        "restart-in-the-same-epoch",
        "scene_master/restart.rs",
        "        scene.crashes.push(cx.now);\n",
        "        scene.crashes.push(cx.now);\n        if MUTANT { scene.epoch = crate::ids::Epoch(scene.epoch.0 - 1); }\n",
    ),
    mutant(
        "results-after-the-end",
        "scene_master/recording.rs",
        "            cx.put(record::finished_key(allocation), record::encode(&finished));\n",
        "            if !MUTANT { cx.put(record::finished_key(allocation), record::encode(&finished)); }\n",
    ),
    mutant(
        "results-recorded-once-only",
        "scene_master/recording.rs",
        "            // It is asked again at its deadline.\n            Err(_) => {}",
        "            Err(_) if MUTANT => self.settled(id, cx),\n            Err(_) => {}",
    ),
    mutant(
        "results-no-deadline",
        "scene_master/recording.rs",
        "            self.deadlines.set(Due::Record(id), cx.now.plus_ms(unrecorded.again_ms));\n",
        "            if !MUTANT { self.deadlines.set(Due::Record(id), cx.now.plus_ms(unrecorded.again_ms)); }\n",
    ),
    // Nodes and fleets
    mutant(
        "slot-never-freed",
        "scene_master/nodes.rs",
        "self.nodes.entry(node).and_modify(|it| it.give_back(usage));",
        "self.nodes.entry(node).and_modify(|it| if !MUTANT { it.give_back(usage) });",
    ),
    mutant(
        "full-node-chosen",
        "scene_master/nodes.rs",
        ".filter(|(_, room)| *room > 0);",
        ".filter(|(_, room)| MUTANT || *room > 0);",
    ),
    mutant(
        "drained-node-chosen",
        "scene_master/nodes.rs",
        "|(id, node): &(&NodeId, &Node)| !node.is_draining && other_than != Some(**id)",
        "|(id, node): &(&NodeId, &Node)| (MUTANT || !node.is_draining) && other_than != Some(**id)",
    ),
    mutant(
        "node-gone-scenes-live",
        "scene_master/nodes.rs",
        "        for id in self.scenes_of(node) {\n            self.lost(id, super::MACHINE_GONE, cx);",
        "        for id in self.scenes_of(node).into_iter().skip(usize::from(MUTANT)) {\n            self.lost(id, super::MACHINE_GONE, cx);",
    ),
    mutant(
        "elsewhere-keeps-the-slot",
        "scene_master/placing.rs",
        "        self.free_slot(id, cx);\n        let Some(scene)",
        "        if !MUTANT { self.free_slot(id, cx); }\n        let Some(scene)",
    ),
    mutant(
        "elsewhere-without-an-end",
        "scene_master/placing.rs",
        "again lives on.\n        self.order_end(id, EndReason::Expired, Vec::new(), false, cx);\n",
        "again lives on.\n        if !MUTANT { self.order_end(id, EndReason::Expired, Vec::new(), false, cx); }\n",
    ),
    mutant(
        "session-in-the-same-epoch",
        "scene_master/placing.rs",
        "        if reuse {\n            scene.epoch",
        "        if reuse && !MUTANT {\n            scene.epoch",
    ),
    mutant(
        "seated-twice",
        "scene_master/placing.rs",
        "players.iter().find(|player| self.by_user.contains_key(&player.user))",
        "players.iter().find(|player| !MUTANT && self.by_user.contains_key(&player.user))",
    ),
    mutant(
        "standby-forgets-what-is-made",
        "scene_master/fleets.rs",
        ".saturating_sub(fleet.ready.len() + fleet.provisioning);",
        ".saturating_sub(fleet.ready.len() + if MUTANT { 0 } else { fleet.provisioning });",
    ),
    mutant(
        "standby-without-limit",
        "scene_master/fleets.rs",
        "} else if others >= fleet.rules.standby_max as usize {",
        "} else if !MUTANT && others >= fleet.rules.standby_max as usize {",
    ),
    mutant(
        "standby-tried-once",
        "scene_master/fleets.rs",
        "        self.deadlines.set(Due::Fleet(name.clone()), retry_at);",
        "        if !MUTANT { self.deadlines.set(Due::Fleet(name.clone()), retry_at); }",
    ),
    mutant(
        "ready-scene-given-twice",
        "scene_master/fleets.rs",
        "            Standing::Ready(since) => _ = fleet.ready.remove(&(since, id)),",
        "            Standing::Ready(_) if MUTANT => {}\n            Standing::Ready(since) => _ = fleet.ready.remove(&(since, id)),",
    ),
    mutant(
        "operator-unanswered",
        "scene_master/placing.rs",
        "                cx.send(Message::Operator(number, Err(refusal)));",
        "                if !MUTANT { cx.send(Message::Operator(number, Err(refusal))); }",
    ),
    // SceneService
    mutant(
        "node-says-ended-and-lets-live",
        "scene_service.rs",
        "                cx.send(Message::Scene(scene, ToScene::End { epoch, reason, results, keep }));",
        "                if MUTANT { return self.res_end(scene, epoch, false, cx); }\n                cx.send(Message::Scene(scene, ToScene::End { epoch, reason, results, keep }));",
    ),
    // Scenes
    mutant(
        "scene-seats-kept-for-ever",
        "scene/seat.rs",
        "                Outcome::Closed { .. } => Some(EndReason::Expired),",
        "                Outcome::Closed { .. } if !MUTANT => Some(EndReason::Expired),",
    ),
    mutant(
        "scene-leaves-untold",
        "scene.rs",
        "        self.tell_master(scene_master::Event::SynUserLeft {",
        "        if MUTANT { return; }\n        self.tell_master(scene_master::Event::SynUserLeft {",
    ),
    // Match
    mutant(
        "match-too-many",
        "matching/pool.rs",
        "        if ticket.users > room || ",
        "        if (!MUTANT && ticket.users > room) || ",
    ),
    mutant(
        "match-waits-for-ever",
        "matching/search.rs",
        "        if waited_ms >= self.domain.wait_ms_max {",
        "        if !MUTANT && waited_ms >= self.domain.wait_ms_max {",
    ),
    mutant(
        "match-keeps-cancelled",
        "matching.rs",
        "                let mut seekers = self.remove(number);\n",
        "                let mut seekers = if MUTANT { Vec::new() } else { self.remove(number) };\n",
    ),
    mutant(
        "match-answers-one",
        "matching/placing.rs",
        "        for (user, entry) in entries {",
        "        for (user, entry) in entries.into_iter().skip(usize::from(MUTANT)) {",
    ),
    // Lobby
    mutant(
        "lobby-searches-in-a-scene",
        "lobby/search.rs",
        "            Some(Phase::InScene { .. }) => {\n                Err",
        "            Some(Phase::InScene { .. }) if MUTANT => Ok(()),\n            Some(Phase::InScene { .. }) => {\n                Err",
    ),
    mutant(
        "lobby-answer-lost",
        "lobby.rs",
        "        let Some(request) = rejoin.take() else { return };",
        "        let Some(request) = (if MUTANT { *rejoin } else { rejoin.take() }) else { return };",
    ),
];
