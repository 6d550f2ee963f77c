//! An input as a script: each byte is a choice.
//!
//! Invariant: every input is a script, and a byte changed in its middle leaves the rest as it was.

/// What is left of a script. After its end every choice is the first one.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or_default()
    }

    /// A number below this one, which is 1 to 256.
    pub fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) % limit
    }

    pub fn chance(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    pub fn choice<T: Clone>(&mut self, of: &[T]) -> Option<T> {
        of.get(self.below(of.len().clamp(1, 256))).cloned()
    }

    /// Mostly small, sometimes as large as it can be.
    pub fn number(&mut self) -> u32 {
        match self.byte() {
            byte @ 0..=239 => u32::from(byte) % 16,
            byte => u32::MAX - u32::from(byte % 4),
        }
    }

    /// A span of time, from nothing to months.
    pub fn span_ms(&mut self) -> u64 {
        const SPANS_MS: [u64; 16] = [
            0,
            1,
            500,
            1_000,
            4_999,
            5_000,
            8_000,
            10_000,
            29_999,
            30_000,
            60_000,
            120_000,
            600_000,
            3_600_000,
            86_400_000,
            61 * 86_400_000,
        ];
        SPANS_MS[self.below(SPANS_MS.len())]
    }

    /// Up to 255 bytes of the script as they are.
    pub fn bytes(&mut self) -> &'a [u8] {
        let bytes = self.below(256).min(self.0.len());
        self.0.split_off(..bytes).unwrap_or_default()
    }

    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }
}
