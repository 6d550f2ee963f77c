//! MessagePack as it is, without knowing what it means.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Debug, Clone, PartialEq)]
pub enum Any {
    Nil,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
    Bytes(Vec<u8>),
    List(Vec<Any>),
    Map(Vec<(Any, Any)>),
}

impl Any {
    pub fn read(bytes: &[u8]) -> Self {
        rmp_serde::from_slice(bytes).expect("it is MessagePack")
    }

    /// What comes one after the other.
    pub fn read_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut all = Vec::new();
        while !bytes.is_empty() {
            all.push(rmp_serde::from_read(&mut bytes).expect("it is MessagePack"));
        }
        all
    }

    pub fn write(&self) -> Vec<u8> {
        rmp_serde::to_vec(self).expect("plain data can be written")
    }

    /// Whether this is the same, with more fields at most.
    pub fn has_all_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(own), Self::List(others)) => {
                own.len() == others.len() && own.iter().zip(others).all(|(own, other)| own.has_all_of(other))
            }
            (Self::Map(own), Self::Map(others)) => others.iter().all(|(key, other)| {
                let found = own.iter().find(|(name, _)| name == key);
                // A field that has its default need not be said.
                found.map_or(*other == Self::Nil, |(_, value)| value.has_all_of(other))
            }),
            _ => self == other,
        }
    }

    /// Adds a field to every map whose keys are those of a struct; to how many.
    pub fn add_to_structs(&mut self, is_struct: &impl Fn(&[&str]) -> bool) -> usize {
        match self {
            Self::List(list) => list.iter_mut().map(|any| any.add_to_structs(is_struct)).sum(),
            Self::Map(map) => {
                let inside: usize = map.iter_mut().map(|(_, value)| value.add_to_structs(is_struct)).sum();
                let key = |(key, _): &(Self, Self)| if let Self::Text(key) = key { Some(key.clone()) } else { None };
                let keys: Vec<String> = map.iter().filter_map(key).collect();
                let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
                if keys.len() != map.len() || !is_struct(&keys) {
                    return inside;
                }
                let added = Self::Map(vec![(Self::Text("of_later".to_owned()), Self::List(vec![Self::Unsigned(7)]))]);
                map.insert(0, (Self::Text("a_field_of_a_later_version".to_owned()), added));
                inside + 1
            }
            _ => 0,
        }
    }
}

impl Any {
    /// Gives another name to one of the variants, counted from 0 in the order in which they are written; whether there are
    /// so many.
    pub fn rename_variant(&mut self, place: usize, is_variant: &impl Fn(&str) -> bool) -> bool {
        self.rename(&mut { place }, is_variant)
    }

    fn rename(&mut self, left: &mut usize, is_variant: &impl Fn(&str) -> bool) -> bool {
        match self {
            Self::Text(text) if is_variant(text) => {
                let is_here = *left == 0;
                if is_here {
                    *text = "of-later".to_owned();
                }
                *left = left.saturating_sub(1);
                is_here
            }
            Self::List(list) => list.iter_mut().any(|any| any.rename(left, is_variant)),
            Self::Map(map) => {
                let has_one = map.len() == 1;
                map.iter_mut()
                    .any(|(key, value)| (has_one && key.rename(left, is_variant)) || value.rename(left, is_variant))
            }
            _ => false,
        }
    }
}

impl Serialize for Any {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nil => to.serialize_unit(),
            Self::Bool(value) => to.serialize_bool(*value),
            Self::Unsigned(value) => to.serialize_u64(*value),
            Self::Signed(value) => to.serialize_i64(*value),
            Self::Float(value) => to.serialize_f64(*value),
            Self::Text(value) => to.serialize_str(value),
            Self::Bytes(value) => to.serialize_bytes(value),
            Self::List(list) => {
                let mut to = to.serialize_seq(Some(list.len()))?;
                list.iter().try_for_each(|any| to.serialize_element(any))?;
                to.end()
            }
            Self::Map(map) => {
                let mut to = to.serialize_map(Some(map.len()))?;
                map.iter().try_for_each(|(key, value)| to.serialize_entry(key, value))?;
                to.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Any {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyVisitor)
    }
}

struct AnyVisitor;

impl<'de> Visitor<'de> for AnyVisitor {
    type Value = Any;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E>(self) -> Result<Any, E> {
        Ok(Any::Nil)
    }

    fn visit_none<E>(self) -> Result<Any, E> {
        Ok(Any::Nil)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Any, E> {
        Ok(Any::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Any, E> {
        Ok(Any::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Any, E> {
        Ok(Any::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Any, E> {
        Ok(Any::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Any, E> {
        Ok(Any::Text(value.to_owned()))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Any, E> {
        Ok(Any::Bytes(value.to_vec()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Any, A::Error> {
        let mut list = Vec::new();
        while let Some(any) = from.next_element()? {
            list.push(any);
        }
        Ok(Any::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Any, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = from.next_entry()? {
            map.push(entry);
        }
        Ok(Any::Map(map))
    }
}
