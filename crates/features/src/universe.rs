//! Whose values a function across instruments takes: members by name, each with its group and the times between which it is
//! one.

use std::collections::BTreeMap;
use std::fmt;

/// Memberships that a universe may have.
pub(crate) const MEMBERS_MAX: usize = 100_000;

/// A time between two, of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Number of the group in [`Universe::groups`].
    pub group: u32,
    /// From this moment on, in nanoseconds.
    pub since: i64,
    /// Before this moment.
    pub until: i64,
}

/// A universe. Invariant: an instrument's memberships are in order and do not overlap; group 0 is that of members without one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Universe {
    /// Its name.
    pub name: String,
    /// Names of the groups; the first is "".
    pub groups: Vec<String>,
    members: BTreeMap<String, Vec<Membership>>,
}

impl Universe {
    /// When an instrument is a member, and of which group.
    pub fn memberships(&self, instrument: &str) -> &[Membership] {
        self.members.get(instrument).map_or(&[], Vec::as_slice)
    }

    /// Number of instruments that are members at any time.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether nobody is a member.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// A universe of memberships: id, group, from when on, and before when. The error says what is wrong.
    pub(crate) fn new(
        name: &str,
        memberships: impl IntoIterator<Item = (String, String, i64, i64)>,
    ) -> Result<Self, String> {
        let mut universe = Self {
            name: name.to_string(),
            groups: vec![String::new()],
            members: BTreeMap::new(),
        };
        let mut numbers = BTreeMap::from([(String::new(), 0u32)]);
        for (id, group, since, until) in memberships {
            if since >= until {
                return Err(format!(
                    "{id} is a member of \"{name}\" for no time: since is not before until"
                ));
            }
            let group = *numbers.entry(group).or_insert_with_key(|group| {
                universe.groups.push(group.clone());
                universe.groups.len() as u32 - 1
            });
            let membership = Membership {
                group,
                since,
                until,
            };
            universe.members.entry(id).or_default().push(membership);
        }
        for (id, times) in &mut universe.members {
            times.sort_by_key(|membership| membership.since);
            if times.windows(2).any(|pair| pair[0].until > pair[1].since) {
                return Err(format!(
                    "{id} is a member of \"{name}\" twice at the same time"
                ));
            }
        }
        Ok(universe)
    }
}

impl fmt::Display for Universe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "universe {:?}", self.name)?;
        for (id, times) in &self.members {
            for Membership {
                group,
                since,
                until,
            } in times
            {
                write!(
                    f,
                    "\n  {id:?} {:?} {since} {until}",
                    self.groups[*group as usize]
                )?;
            }
        }
        Ok(())
    }
}
