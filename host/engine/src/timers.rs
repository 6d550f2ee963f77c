//! The timers of one scene, in the order of (due time, id).

/// Those that are set.
pub struct Timers {
    alarms: Vec<(u64, u64)>,
    count_max: u32,
}

impl Timers {
    pub fn new(count_max: u32) -> Timers {
        Timers::restored(Vec::new(), count_max)
    }

    /// These were set before.
    pub fn restored(alarms: Vec<(u64, u64)>, count_max: u32) -> Timers {
        Timers { alarms, count_max }
    }

    pub fn into_alarms(self) -> Vec<(u64, u64)> {
        self.alarms
    }

    pub fn alarms(&self) -> &[(u64, u64)] {
        &self.alarms
    }

    pub fn count_max(&self) -> u32 {
        self.count_max
    }

    /// Takes out those that are due, the first first.
    pub fn take_due(&mut self, now_ms: u64) -> impl Iterator<Item = u64> {
        let due = self.alarms.partition_point(|&(due_ms, _)| due_ms <= now_ms);
        self.alarms.drain(..due).map(|(_, id)| id)
    }

    pub fn clear(&mut self) {
        self.alarms = Vec::new();
    }

    /// `false`: there are as many as may be.
    pub fn set(&mut self, id: u64, due_ms: u64) -> bool {
        self.cancel(id);
        if self.alarms.len() >= self.count_max as usize {
            return false;
        }
        let place = self.alarms.partition_point(|&alarm| alarm < (due_ms, id));
        self.alarms.insert(place, (due_ms, id));
        true
    }

    pub fn cancel(&mut self, id: u64) {
        self.alarms.retain(|&(_, set)| set != id);
    }

    pub fn first_due_ms(&self) -> Option<u64> {
        self.alarms.first().map(|&(due_ms, _)| due_ms)
    }
}
