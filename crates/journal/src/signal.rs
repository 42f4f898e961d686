//! The text of a signal: its id, and the JSON that journal and sinks hold.
use sha2::{Digest, Sha256};

use crate::json::{push_float, push_hex, push_number, push_text, push_texts};

/// Writes the signals of one model in one pipeline: what never changes is put into text once.
///
/// The id is the first 32 hex digits of the SHA-256 of the lines `signal-stream/1`, pipeline, model id, model version,
/// instrument, ts_event (empty if absent), ts_recv, vector digest in hex, tape offset; no newline at the end. It does not
/// cover verdict and stage: one set of inputs is one signal, whatever was said about it.
pub struct SignalTemplate {
    id_head: String,
    signal: String,
    model: String,
    tape: String,
}

/// What all signals of a template have in common.
#[derive(Clone, Copy)]
pub struct Model<'a> {
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// The tape's name.
    pub tape: &'a str,
    /// The model's id.
    pub name: &'a str,
    /// The model's version.
    pub version: &'a str,
    /// What the model's value predicts.
    pub signal: &'a str,
    /// The version's stage when the pipeline was opened; None for signals of before stages were noted.
    pub stage: Option<&'a str>,
    /// Digest of the feature graph, in hex.
    pub graph_digest: &'a str,
    /// Digest of the columns, in hex.
    pub schema_digest: &'a str,
}

/// What one signal rests on. Times are nanoseconds UTC.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    /// The instrument's id.
    pub instrument: &'a str,
    /// Digest of the vector.
    pub vector: &'a [u8],
    /// When the vector happened; None where the venue does not say.
    pub ts_event: Option<i64>,
    /// When it could be known.
    pub ts_recv: i64,
    /// Receive time of the newest input.
    pub data_window_end: i64,
    /// Age of the oldest input then, by receive time or by the venue's, whichever says more; None if an input never came.
    pub data_age_ns: Option<i64>,
    /// Messages of the tape read up to it.
    pub offset: i64,
}

/// What was said about it, and how long that took.
#[derive(Clone, Copy)]
pub struct Judged<'a, S> {
    /// The signal's value, which is finite; None where there is none.
    pub value: Option<f64>,
    /// PASS, VETO or HALT.
    pub outcome: &'a str,
    /// Why.
    pub codes: &'a [S],
    /// Features for which a default stood in.
    pub defaults_used: &'a [S],
    /// Nanoseconds of features, model, guards and emit.
    pub latency: [i64; 4],
}

impl SignalTemplate {
    /// The template of a model in a pipeline.
    pub fn new(of: Model<'_>) -> Self {
        let quoted = |text: &str| {
            let mut out = String::new();
            push_text(&mut out, text);
            out
        };
        Self {
            id_head: format!(
                "signal-stream/1\n{}\n{}\n{}\n",
                of.pipeline, of.name, of.version
            ),
            signal: format!("\"signal\": {}, \"instrument\": ", quoted(of.signal)),
            model: format!(
                "\"model_id\": {}, \"model_version\": {}, {}\"feature_graph_hash\": {}, \"schema_hash\": {}, \
                 \"vector_hash\": \"",
                quoted(of.name),
                quoted(of.version),
                of.stage
                    .map(|stage| format!("\"stage\": {}, ", quoted(stage)))
                    .unwrap_or_default(),
                quoted(of.graph_digest),
                quoted(of.schema_digest)
            ),
            tape: format!(", \"tape\": {{\"name\": {}, \"offset\": ", quoted(of.tape)),
        }
    }

    /// The signal's id.
    pub fn id(&self, inputs: &Inputs<'_>) -> String {
        let mut text = String::with_capacity(self.id_head.len() + inputs.instrument.len() + 128);
        text.push_str(&self.id_head);
        text.push_str(inputs.instrument);
        text.push('\n');
        if let Some(ts_event) = inputs.ts_event {
            push_number(&mut text, ts_event);
        }
        text.push('\n');
        push_number(&mut text, inputs.ts_recv);
        text.push('\n');
        push_hex(&mut text, inputs.vector);
        text.push('\n');
        push_number(&mut text, inputs.offset);
        let mut id = String::with_capacity(32);
        push_hex(&mut id, &Sha256::digest(text.as_bytes())[..16]);
        id
    }

    /// The signal's JSON: its keys in API.md's order, as Python's `json.dumps` with its defaults writes them.
    pub fn text<S: AsRef<str>>(
        &self,
        id: &str,
        inputs: &Inputs<'_>,
        judged: &Judged<'_, S>,
    ) -> String {
        let mut out = String::with_capacity(self.signal.len() + self.model.len() + 512);
        out.push_str("{\"signal_id\": \"");
        out.push_str(id);
        out.push_str("\", ");
        out.push_str(&self.signal);
        push_text(&mut out, inputs.instrument);
        out.push_str(", \"value\": ");
        match judged.value {
            Some(value) => push_float(&mut out, value),
            None => out.push_str("null"),
        }
        out.push_str(", \"verdict\": ");
        push_text(&mut out, judged.outcome);
        out.push_str(", \"codes\": ");
        push_texts(&mut out, judged.codes);
        out.push_str(", ");
        out.push_str(&self.model);
        push_hex(&mut out, inputs.vector);
        out.push_str("\", \"ts_event\": ");
        push_maybe(&mut out, inputs.ts_event);
        out.push_str(", \"ts_recv\": ");
        push_number(&mut out, inputs.ts_recv);
        out.push_str(", \"data_window_end\": ");
        push_number(&mut out, inputs.data_window_end);
        out.push_str(", \"data_age_ns\": ");
        push_maybe(&mut out, inputs.data_age_ns);
        out.push_str(&self.tape);
        push_number(&mut out, inputs.offset);
        out.push_str("}, \"defaults_used\": ");
        push_texts(&mut out, judged.defaults_used);
        out.push_str(", \"latency_ns\": {");
        let stages = ["features", "model", "guards", "emit"];
        for (i, (stage, ns)) in stages.into_iter().zip(judged.latency).enumerate() {
            out.push_str(if i == 0 { "\"" } else { ", \"" });
            out.push_str(stage);
            out.push_str("\": ");
            push_number(&mut out, ns);
        }
        out.push_str("}}");
        out
    }
}

fn push_maybe(out: &mut String, number: Option<i64>) {
    match number {
        Some(number) => push_number(out, number),
        None => out.push_str("null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUTS: Inputs<'static> = Inputs {
        instrument: "X",
        vector: &[0xab],
        ts_event: None,
        ts_recv: 6,
        data_window_end: 5,
        data_age_ns: Some(9),
        offset: 7,
    };

    fn template(stage: Option<&str>) -> SignalTemplate {
        SignalTemplate::new(Model {
            stage,
            pipeline: "p",
            tape: "t",
            name: "m",
            version: "v",
            signal: "up",
            graph_digest: "g",
            schema_digest: "s",
        })
    }

    #[test]
    fn the_id_is_a_digest_of_lines() {
        let digest = Sha256::digest(b"signal-stream/1\np\nm\nv\nX\n\n6\nab\n7");
        let mut expected = String::new();
        push_hex(&mut expected, &digest[..16]);
        assert_eq!(template(None).id(&INPUTS), expected);
        assert_eq!(template(Some("live")).id(&INPUTS), expected);
        let dated = Inputs {
            ts_event: Some(-5),
            ..INPUTS
        };
        assert_ne!(template(None).id(&dated), expected);
    }

    #[test]
    fn the_text_has_every_key_in_order() {
        let judged = Judged {
            value: Some(0.5),
            outcome: "PASS",
            codes: &["DEADLINE"],
            defaults_used: &[],
            latency: [1, 2, 3, 4],
        };
        let without = template(None).text("00", &INPUTS, &judged);
        let noted = without.replace("\"v\", ", "\"v\", \"stage\": \"shadow\", ");
        assert_eq!(template(Some("shadow")).text("00", &INPUTS, &judged), noted);
        assert_eq!(
            without,
            "{\"signal_id\": \"00\", \"signal\": \"up\", \"instrument\": \"X\", \"value\": 0.5, \"verdict\": \"PASS\", \
             \"codes\": [\"DEADLINE\"], \"model_id\": \"m\", \"model_version\": \"v\", \"feature_graph_hash\": \"g\", \
             \"schema_hash\": \"s\", \"vector_hash\": \"ab\", \"ts_event\": null, \"ts_recv\": 6, \
             \"data_window_end\": 5, \"data_age_ns\": 9, \"tape\": {\"name\": \"t\", \"offset\": 7}, \"defaults_used\": [], \
             \"latency_ns\": {\"features\": 1, \"model\": 2, \"guards\": 3, \"emit\": 4}}"
        );
    }
}
