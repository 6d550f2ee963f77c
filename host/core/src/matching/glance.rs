//! What most candidates are turned away by, in few words, so that many can be looked through quickly: it lies in the
//! bins beside the ticket's place, and only of those who pass it the rest is looked up.
//!
//! Invariant: a glance turns nobody away who may play together. It knows of regions, and of those properties that are
//! not relaxed with waiting, as long as all their values together fit into its bits.

use super::domain::{Domain, PROPERTIES_MAX};
use super::pool::{ANY, Marks};

/// A ticket, as far as a glance goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Glance {
    /// The regions that are near enough, a bit each; all of them in domains without.
    pub regions: u64,
    /// What it has and wants of the properties, side by side.
    has: u64,
    wants: u64,
    /// How many users it has.
    pub users: u32,
}

/// Whom every group seeks that seeks anybody.
pub(super) const ANYONE: Glance = Glance { regions: u64::MAX, has: u64::MAX, wants: u64::MAX, users: 0 };

/// Where each property has its bits.
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    fields: Vec<Field>,
    /// The highest bit of each property, and all others.
    tops: u64,
    lows: u64,
    /// The bits of the properties that are not one for the whole match.
    personal: u64,
}

#[derive(Debug, Clone, Copy)]
struct Field {
    /// Which property, and whether it is one for the whole match.
    property: usize,
    common: bool,
    shift: u32,
    mask: u64,
}

impl Layout {
    pub fn new(domain: &Domain) -> Self {
        let mut layout = Self::default();
        let mut shift = 0;
        for (i, property) in domain.properties.iter().enumerate().filter(|(_, it)| it.relax_ms.is_none()) {
            let width = property.values.len() as u32;
            if width == 0 || shift + width > u64::BITS {
                continue;
            }
            let mask = u64::MAX >> (u64::BITS - width);
            layout.fields.push(Field { property: i, common: property.common, shift, mask });
            layout.tops |= 1 << (shift + width - 1);
            layout.lows |= (mask >> 1) << shift;
            layout.personal |= if property.common { 0 } else { mask << shift };
            shift += width;
        }
        layout
    }

    /// A ticket with these marks. Of what is one for the whole match nobody has anything, so there it has all.
    pub fn of(&self, marks: &[Marks], regions: u64, users: u32) -> Glance {
        let (mut has, mut wants) = (0, 0);
        for Field { property, common, shift, mask } in &self.fields {
            let marks = marks.get(*property).copied().unwrap_or(ANY);
            has |= if *common { *mask << shift } else { (marks.has & mask) << shift };
            wants |= (marks.wants & mask) << shift;
        }
        Glance { regions, has, wants, users }
    }

    /// What all have in common who have and want the same of the properties that are not one for the whole match: a
    /// group that does not seek this seeks none of them. `None`: there are no such properties.
    pub fn kind_of(&self, one: &Glance) -> Option<Glance> {
        let others = !self.personal;
        let kind = Glance { has: one.has | others, wants: one.wants | others, ..ANYONE };
        (self.personal != 0).then_some(kind)
    }

    /// Whom a group seeks that began with a ticket of these marks: of what is one for the whole match the same as all of
    /// them want.
    pub fn sought(&self, marks: &[Marks], common: &[u64; PROPERTIES_MAX], regions: u64, room: u32) -> Glance {
        let mut sought = self.of(marks, regions, room);
        for Field { property, shift, mask, .. } in self.fields.iter().filter(|field| field.common) {
            sought.has &= !(mask << shift);
            sought.has |= (common[*property] & mask) << shift;
            sought.wants |= mask << shift;
        }
        sought
    }

    /// Whether one may be whom a group seeks. Without branches: which of the conditions fails cannot be foretold. Of each
    /// property there has to be a bit of what both have and want: the bits below its highest one carry into that.
    #[inline]
    pub fn may_be(&self, sought: &Glance, one: &Glance) -> bool {
        let (there, here) = (sought.has & one.wants, sought.wants & one.has);
        let carried = |bits: u64| ((bits & self.lows) + self.lows) | bits;
        (one.users <= sought.users)
            & (sought.regions & one.regions != 0)
            & (carried(there) & carried(here) & self.tops == self.tops)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::domain::Property;
    use super::*;

    fn domain(widths: &[(usize, bool)]) -> Domain {
        let property = |(i, (width, common)): (usize, &(usize, bool))| Property {
            name: format!("property {i}"),
            values: (0..*width).map(|value| value.to_string()).collect(),
            common: *common,
            relax_ms: None,
        };
        let properties = widths.iter().enumerate().map(property).collect();
        Domain { properties, ..Domain::new("duel".into(), 2, 2) }
    }

    fn marks() -> impl Strategy<Value = Vec<Marks>> {
        let bits = prop_oneof![Just(u64::MAX), any::<u64>(), (0..64_u32).prop_map(|bit| 1 << bit)];
        prop::collection::vec((bits.clone(), bits).prop_map(|(has, wants)| Marks { has, wants }), PROPERTIES_MAX)
    }

    proptest! {
        /// Against the conditions one by one, for properties that fit into the bits and for some that do not.
        #[test]
        fn a_glance_turns_away_whom_a_property_or_the_regions_do(
            widths in prop::collection::vec((1..40_usize, any::<bool>()), 1..4),
            one in marks(), other in marks(),
            regions in (0..8_u64, 0..8_u64), users in (1..4_u32, 1..4_u32),
        ) {
            let domain = domain(&widths);
            let layout = Layout::new(&domain);
            let mut common = [u64::MAX; PROPERTIES_MAX];
            let mut expected = regions.0 & regions.1 != 0 && users.1 <= users.0;
            let mut bits = 0;
            for (i, (width, is_common)) in widths.iter().enumerate() {
                let mask = u64::MAX >> (64 - width);
                common[i] = one[i].wants;
                if bits + width > 64 {
                    continue;
                }
                bits += width;
                expected &= match is_common {
                    true => one[i].wants & other[i].wants & mask != 0,
                    false => one[i].has & other[i].wants & mask != 0 && one[i].wants & other[i].has & mask != 0,
                };
            }
            let sought = layout.sought(&one, &common, regions.0, users.0);
            prop_assert_eq!(layout.may_be(&sought, &layout.of(&other, regions.1, users.1)), expected);
        }
    }
}
