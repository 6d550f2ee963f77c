//! Makes values of a type, by what its `Deserialize` asks for: enough of them that each variant of each enum in it is in
//! one. What is a value otherwise is always the same, except for texts: some types take only some of them, so each place
//! has the first one of a list that was not refused there.
//!
//! Invariant: the values of a type are the same at each run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer as _, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};

/// A text that is also a unit, a name, and bytes as base64; the hash of a secret; a time of day; a moment; a partition.
const TEXTS: [&str; 5] = [
    "auth",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "18:00",
    "2026-12-24T18:00:00Z",
    "00-ff",
];
/// Below this, what may be left out is.
const DEPTH_MAX: usize = 24;
/// Below this nothing is made.
const DEPTH_END: usize = 48;
/// So many values in a row without anything new, and there is nothing new any more.
const WITHOUT_NEW_MAX: usize = 100_000;

/// Where a value is: the fields of its struct, or its variant, and which of these it is.
type Place = (&'static [&'static str], &'static str);
/// An enum by what it is in the source: its name, and its variants.
type Enum = (&'static str, &'static [&'static str]);

#[derive(Default)]
pub struct Sampler {
    /// How often each variant was made, to make the rarest next.
    made: BTreeMap<Enum, Vec<u64>>,
    /// What has been in a value that was whole.
    covered: BTreeMap<Enum, BTreeSet<&'static str>>,
    structs: BTreeSet<BTreeSet<&'static str>>,
    /// The variants in the value that is being made.
    inside: Vec<(Enum, &'static str)>,
    /// Which text a place takes, by the number in the list.
    texts: BTreeMap<Place, usize>,
    /// Where the last text was made, if nothing was made since.
    last_text: Option<Place>,
    /// How many choices were made.
    choices: u64,
}

impl Sampler {
    /// Values of a type, those that are `wanted`: each has a variant that those before it have not.
    pub fn all<T: DeserializeOwned>(&mut self, wanted: impl Fn(&T) -> bool) -> Vec<T> {
        let (mut all, mut without_new) = (Vec::new(), 0);
        while without_new < WITHOUT_NEW_MAX {
            without_new += 1;
            self.inside.clear();
            self.last_text = None;
            let made = T::deserialize(Maker { sampler: self, depth: 0, place: (&[], "") });
            if let (Err(_), Some(place)) = (&made, self.last_text) {
                // It was refused as soon as it was made.
                *self.texts.entry(place).or_default() += 1;
            }
            let Some(made) = made.ok().filter(|made| wanted(made)) else { continue };
            let mut has_new = false;
            for (of, variant) in std::mem::take(&mut self.inside) {
                has_new |= self.covered.entry(of).or_default().insert(variant);
            }
            if has_new {
                without_new = 0;
                all.push(made);
            }
        }
        all
    }

    /// A line for each enum, with the variants that values were made of.
    pub fn vocabulary(&self) -> String {
        let line = |((name, _), variants): (&Enum, &BTreeSet<&str>)| {
            format!("{name}: {}\n", variants.iter().copied().collect::<Vec<_>>().join(" "))
        };
        let lines: BTreeSet<String> = self.covered.iter().map(line).collect();
        lines.into_iter().collect()
    }

    /// Variants that no whole value was made of.
    pub fn missing(&self) -> Vec<(&'static str, &'static str)> {
        let variants = self.made.keys().flat_map(|of| of.1.iter().map(move |variant| (of, *variant)));
        let is_missing = |(of, variant): &(&Enum, &'static str)| {
            self.covered.get(of).is_none_or(|covered| !covered.contains(variant))
        };
        variants.filter(is_missing).map(|(of, variant)| (of.0, variant)).collect()
    }

    /// Whether a map with these keys is a struct: neither a variant with what is in it, nor a map of the type itself.
    pub fn is_struct(&self, keys: &[&str]) -> bool {
        let has_all = |fields: &BTreeSet<&str>| keys.iter().all(|key| fields.contains(key));
        match keys {
            [] => false,
            [key] if TEXTS.contains(key) => false,
            [key] if self.is_variant(key) => self.structs.iter().any(|fields| fields.len() == 1 && has_all(fields)),
            _ => self.structs.iter().any(has_all),
        }
    }

    /// Whether a variant of an enum is called so.
    pub fn is_variant(&self, text: &str) -> bool {
        !TEXTS.contains(&text) && self.made.keys().any(|(_, variants)| variants.contains(&text))
    }

    fn choose(&mut self, of: Enum) -> &'static str {
        let made = self.made.entry(of).or_insert_with(|| vec![0; of.1.len()]);
        let rarest = (0..made.len()).min_by_key(|variant| made[*variant]).unwrap_or_default();
        self.choices += 1;
        // Not always the rarest: two enums in one value would keep step, and some pairs would never be.
        let mixed = mix(self.choices);
        let chosen = match made.len() as u64 {
            len if len > 0 && mixed.is_multiple_of(3) => (mixed / 3 % len) as usize,
            _ => rarest,
        };
        if let Some(made) = made.get_mut(chosen) {
            *made += 1;
        }
        let variant = of.1.get(chosen).copied().unwrap_or_default();
        self.inside.push((of, variant));
        variant
    }
}

/// SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[derive(Debug)]
pub struct Cannot(String);

impl Display for Cannot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Cannot {}

impl serde::de::Error for Cannot {
    fn custom<T: Display>(why: T) -> Self {
        Self(why.to_string())
    }
}

struct Maker<'a> {
    sampler: &'a mut Sampler,
    depth: usize,
    place: Place,
}

impl Maker<'_> {
    fn inner(&mut self) -> Maker<'_> {
        self.inner_at(self.place)
    }

    fn inner_at(&mut self, place: Place) -> Maker<'_> {
        self.sampler.last_text = None;
        Maker { sampler: self.sampler, depth: self.depth + 1, place }
    }

    fn text(self) -> &'static str {
        self.sampler.last_text = Some(self.place);
        let refused = self.sampler.texts.get(&self.place).copied().unwrap_or_default();
        TEXTS[refused % TEXTS.len()]
    }
}

macro_rules! always {
    ($($ask:ident gives $visit:ident($($value:expr)?);)*) => {
        $(fn $ask<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Cannot> {
            visitor.$visit($($value)?)
        })*
    };
}

impl<'de> Deserializer<'de> for Maker<'_> {
    type Error = Cannot;

    always! {
        deserialize_bool gives visit_bool(true);
        deserialize_i8 gives visit_i8(-3);
        deserialize_i16 gives visit_i16(-3);
        deserialize_i32 gives visit_i32(-3);
        deserialize_i64 gives visit_i64(-3);
        deserialize_u8 gives visit_u8(5);
        deserialize_u16 gives visit_u16(300);
        deserialize_u32 gives visit_u32(70_000);
        deserialize_u64 gives visit_u64(5_000_000_000);
        deserialize_f32 gives visit_f32(0.5);
        deserialize_f64 gives visit_f64(0.25);
        deserialize_char gives visit_char('a');
        deserialize_bytes gives visit_bytes(&[7, 250]);
        deserialize_byte_buf gives visit_bytes(&[7, 250]);
        deserialize_unit gives visit_unit();
        deserialize_ignored_any gives visit_unit();
        deserialize_identifier gives visit_str(TEXTS[0]);
    }

    /// Asked for by what looks at it first: an enum without tags, or JSON.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Cannot> {
        visitor.visit_str(self.text())
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Cannot> {
        visitor.visit_str(self.text())
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Cannot> {
        visitor.visit_str(self.text())
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Cannot> {
        if self.depth > DEPTH_MAX { visitor.visit_none() } else { visitor.visit_some(self.inner()) }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Cannot> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(mut self, _: &'static str, visitor: V) -> Result<V::Value, Cannot> {
        visitor.visit_newtype_struct(self.inner())
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Cannot> {
        let left = usize::from(self.depth <= DEPTH_MAX);
        visitor.visit_seq(Items { maker: self, left })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Cannot> {
        visitor.visit_seq(Items { maker: self, left: len })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Cannot> {
        visitor.visit_seq(Items { maker: self, left: len })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Cannot> {
        let left = usize::from(self.depth <= DEPTH_MAX);
        visitor.visit_map(Entries { maker: self, left })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Cannot> {
        self.sampler.structs.insert(fields.iter().copied().collect());
        visitor.visit_map(Fields { maker: self, fields, next: 0 })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Cannot> {
        if self.depth > DEPTH_END {
            return Err(Cannot::custom("it has no end"));
        }
        let variant = self.sampler.choose((name, variants));
        visitor.visit_enum(Variant { maker: self, variants, variant })
    }
}

struct Items<'a> {
    maker: Maker<'a>,
    left: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Cannot;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Cannot> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(self.maker.inner()).map(Some)
    }
}

struct Entries<'a> {
    maker: Maker<'a>,
    left: usize,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Cannot;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Cannot> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(self.maker.inner()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Cannot> {
        seed.deserialize(self.maker.inner())
    }
}

struct Fields<'a> {
    maker: Maker<'a>,
    fields: &'static [&'static str],
    /// How many keys were made.
    next: usize,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Cannot;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Cannot> {
        let Some(field) = self.fields.get(self.next) else { return Ok(None) };
        self.next += 1;
        let field: StrDeserializer<'_, Cannot> = (*field).into_deserializer();
        seed.deserialize(field).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Cannot> {
        let field = self.next.checked_sub(1).and_then(|made| self.fields.get(made)).copied().unwrap_or_default();
        seed.deserialize(self.maker.inner_at((self.fields, field)))
    }
}

struct Variant<'a> {
    maker: Maker<'a>,
    variants: &'static [&'static str],
    variant: &'static str,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Cannot;
    type Variant = Maker<'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Maker<'a>), Cannot> {
        let variant: StrDeserializer<'_, Cannot> = self.variant.into_deserializer();
        Ok((seed.deserialize(variant)?, Maker { place: (self.variants, self.variant), ..self.maker }))
    }
}

impl<'de> VariantAccess<'de> for Maker<'_> {
    type Error = Cannot;

    fn unit_variant(self) -> Result<(), Cannot> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(mut self, seed: T) -> Result<T::Value, Cannot> {
        seed.deserialize(self.inner())
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Cannot> {
        visitor.visit_seq(Items { maker: self, left: len })
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Cannot> {
        self.sampler.structs.insert(fields.iter().copied().collect());
        visitor.visit_map(Fields { maker: self, fields, next: 0 })
    }
}
