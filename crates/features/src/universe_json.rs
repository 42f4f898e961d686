//! A graph's universes from its JSON form.

use crate::graph_error::{GraphError, refuse};
use crate::reader::Reader;
use crate::universe::{MEMBERS_MAX, Universe};
use serde_json::Value;

/// The universes in order of their names; none where there is no list.
pub(crate) fn universes(value: Option<&Value>) -> Result<Vec<Universe>, GraphError> {
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let Some(list) = value.as_array() else {
        return refuse("GRAPH_FORM", None, "\"universes\" must be a list".into());
    };
    let mut found: Vec<Universe> = Vec::new();
    for entry in list {
        let one = universe(entry)?;
        if found.iter().any(|known| known.name == one.name) {
            let what = format!("universe \"{}\" stands twice", one.name);
            return refuse("GRAPH_FORM", None, what);
        }
        found.push(one);
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn universe(value: &Value) -> Result<Universe, GraphError> {
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
    let memberships = list.iter().map(membership);
    let memberships = memberships.collect::<Result<Vec<_>, _>>()?;
    Universe::new(name, memberships).or_else(|what| refuse("GRAPH_FORM", None, what))
}

fn membership(value: &Value) -> Result<(String, String, i64, i64), GraphError> {
    let member = Reader::new(None, value, &["id", "group", "since", "until"])?;
    let group = match member.has("group") {
        true => member.text("group")?,
        false => "",
    };
    let time = |key: &str, otherwise: i64| match member.has(key) {
        true => member.integer(key, i64::MIN, i64::MAX),
        false => Ok(otherwise),
    };
    Ok((
        member.text("id")?.to_string(),
        group.to_string(),
        time("since", i64::MIN)?,
        time("until", i64::MAX)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::universe::Universe;
    use serde_json::json;

    fn read(members: Value) -> Result<Universe, GraphError> {
        let mut all = universes(Some(&json!([{"name": "u", "members": members}])))?;
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
