//! Whose values a function across instruments takes: members by name, each with its group and the times between which it is
//! one.

use crate::graph_error::{GraphError, refuse};
use crate::reader::Reader;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// Members that a universe may have.
const MEMBERS_MAX: usize = 100_000;

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

    /// A graph's universes; none where it names none.
    pub(crate) fn read_all(value: Option<&Value>) -> Result<Vec<Self>, GraphError> {
        let Some(value) = value else {
            return Ok(Vec::new());
        };
        let Some(list) = value.as_array() else {
            return refuse("GRAPH_FORM", None, "\"universes\" must be a list".into());
        };
        let mut found: Vec<Self> = Vec::new();
        for entry in list {
            let one = Self::read(entry)?;
            if found.iter().any(|known| known.name == one.name) {
                let what = format!("universe \"{}\" stands twice", one.name);
                return refuse("GRAPH_FORM", None, what);
            }
            found.push(one);
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn read(value: &Value) -> Result<Self, GraphError> {
        let reader = Reader::new(None, value, &["name", "members"])?;
        let name = reader.text("name")?;
        let Some(list) = reader.get("members")?.as_array() else {
            return refuse("GRAPH_FORM", None, "\"members\" must be a list".into());
        };
        if list.is_empty() || list.len() > MEMBERS_MAX {
            let what = format!(
                "universe \"{name}\" has {} members; one has from 1 to {MEMBERS_MAX}",
                list.len()
            );
            return refuse("OUT_OF_RANGE", None, what);
        }
        let mut universe = Self {
            name: name.to_string(),
            groups: vec![String::new()],
            members: BTreeMap::new(),
        };
        let mut numbers = BTreeMap::from([(String::new(), 0u32)]);
        for entry in list {
            let member = Reader::new(None, entry, &["id", "group", "since", "until"])?;
            let group = if member.has("group") {
                member.text("group")?
            } else {
                ""
            };
            let number = *numbers.entry(group.to_string()).or_insert_with(|| {
                universe.groups.push(group.to_string());
                universe.groups.len() as u32 - 1
            });
            let time = |key: &str, otherwise: i64| match member.has(key) {
                true => member.integer(key, i64::MIN, i64::MAX),
                false => Ok(otherwise),
            };
            let membership = Membership {
                group: number,
                since: time("since", i64::MIN)?,
                until: time("until", i64::MAX)?,
            };
            let id = member.text("id")?;
            if membership.since >= membership.until {
                let what = format!(
                    "{id} is a member of \"{name}\" for no time: since is not before until"
                );
                return refuse("GRAPH_FORM", None, what);
            }
            universe
                .members
                .entry(id.to_string())
                .or_default()
                .push(membership);
        }
        for (id, times) in &mut universe.members {
            times.sort_by_key(|membership| membership.since);
            if times.windows(2).any(|pair| pair[0].until > pair[1].since) {
                let what = format!("{id} is a member of \"{name}\" twice at the same time");
                return refuse("GRAPH_FORM", None, what);
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(members: Value) -> Result<Universe, GraphError> {
        let mut all = Universe::read_all(Some(&json!([{"name": "u", "members": members}])))?;
        Ok(all.remove(0))
    }

    #[test]
    fn members_come_and_go_and_come_back() -> Result<(), GraphError> {
        let universe = read(json!([
            {"id": "A.X", "since": 5, "until": 9, "group": "tech"},
            {"id": "B.X"},
            {"id": "A.X", "until": 5},
        ]))?;
        assert_eq!(universe.len(), 2);
        let times = universe.memberships("A.X").iter();
        let times: Vec<_> = times
            .map(|m| (m.since, m.until, universe.groups[m.group as usize].as_str()))
            .collect();
        assert_eq!(times, [(i64::MIN, 5, ""), (5, 9, "tech")]);
        assert!(universe.memberships("C.X").is_empty());
        Ok(())
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        for (members, what) in [
            (json!([]), "0 members"),
            (
                json!([{"id": "A.X", "since": 5, "until": 5}]),
                "for no time",
            ),
            (
                json!([{"id": "A.X", "until": 6}, {"id": "A.X", "since": 5}]),
                "twice at the same time",
            ),
            (
                json!([{"id": "A.X"}, {"id": "A.X"}]),
                "twice at the same time",
            ),
            (json!([{"ids": "A.X"}]), "Did you mean \"id\"?"),
        ] {
            let message = read(members)
                .err()
                .map(|error| error.message)
                .unwrap_or_default();
            assert!(message.contains(what), "{message}");
        }
    }
}
