//! Which keys of a fault go together, and which values they can have; pure.
//! A script is checked before it is used, so that a test which asks for the
//! impossible fails at once and says why.
//!
//! Must not: change a fault, or know how one acts.

use super::faults::{Cut, Fault};

impl Fault {
    /// Says what is wrong with a fault, if anything is.
    pub(super) fn check(&self) -> Result<(), String> {
        self.glob()?;
        if let Some(key) = &self.key
            && !(key.len() == 8 && key.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
        {
            return Err("`key` is a fingerprint: 8 hex digits, never the key itself".to_owned());
        }
        if self.nth.is_some()
            && (self.from.is_some() || self.times.is_some() || self.every.is_some())
        {
            return Err(
                "`nth` stands alone: use `from` with `times` or `every` instead".to_owned(),
            );
        }
        for (name, value) in [
            ("nth", self.nth),
            ("from", self.from),
            ("times", self.times),
            ("every", self.every),
        ] {
            if value == Some(0) {
                return Err(format!("`{name}` counts from 1"));
            }
        }
        if self
            .status
            .is_some_and(|status| !(200..=599).contains(&status))
        {
            return Err("`status` must be 200 to 599".to_owned());
        }
        for (name, value) in [
            ("retry_after", &self.retry_after),
            ("location", &self.location),
            ("content_type", &self.content_type),
        ] {
            if value
                .as_ref()
                .is_some_and(|v| v.parse::<axum::http::HeaderValue>().is_err())
            {
                return Err(format!(
                    "`{name}` can't be sent in a header: remove control characters"
                ));
            }
        }
        self.check_actions()
    }

    fn check_actions(&self) -> Result<(), String> {
        let cut_answer = self.cut == Some(Cut::MidAnswer);
        let ends = [
            ("early", self.early),
            ("cut", self.cut.is_some() && !cut_answer),
            ("silence", self.silence.is_some()),
            ("drip_ms", self.drip_ms.is_some()),
            ("cut", cut_answer),
        ];
        one_of(&ends)?;
        let answers = [
            ("html", self.html),
            ("empty", self.empty),
            ("no_task", self.no_task),
            ("body", self.body.is_some()),
            (
                "code or message",
                self.code.is_some() || self.message.is_some(),
            ),
        ];
        one_of(&answers)?;
        let shaped =
            self.replaces_answer() || self.retry_after.is_some() || self.location.is_some();
        if shaped && (self.silence.is_some() || (self.cut.is_some() && !cut_answer)) {
            return Err(
                "a cut or silence sends no answer: remove `status` and what belongs to it"
                    .to_owned(),
            );
        }
        if self.early && self.status.is_none() {
            return Err("`early` needs a `status`".to_owned());
        }
        if self.content_type.is_some() && self.body.is_none() {
            return Err("`content_type` belongs to a `body`".to_owned());
        }
        if self.taken == Some(true) && (self.early || self.ends_before_body()) {
            return Err("`taken = true` can't be: the body is not read".to_owned());
        }
        let acts = shaped
            || ends.iter().any(|(_, is)| *is)
            || self.task_state.is_some()
            || self.outcome.is_some()
            || self.delay_ms.is_some();
        if acts {
            Ok(())
        } else {
            Err("it does nothing: add a `status`, a `cut`, …".to_owned())
        }
    }
}

fn one_of(keys: &[(&str, bool)]) -> Result<(), String> {
    let given: Vec<&str> = keys
        .iter()
        .filter(|(_, is)| *is)
        .map(|(name, _)| *name)
        .collect();
    match given.as_slice() {
        [] | [_] => Ok(()),
        [first, second, ..] => Err(format!("`{first}` and `{second}` can't go together")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_named() {
        for (script, words) in [
            ("[[fault]]\nstatsu = 500", "unknown field `statsu`"),
            ("[[faults]]\nstatus = 500", "unknown field `faults`"),
            (
                "[[fault]]\nroute = \"txt\"\nstatus = 500",
                "not one of: text",
            ),
            (
                "[[fault]]\nstatus = 500\n[[fault]]\nroute = \"web\"",
                "fault 2 of the script: it does nothing",
            ),
            ("[[fault]]\nstatus = 99", "200 to 599"),
            ("[[fault]]\nstatus = 500\nnth = 0", "counts from 1"),
            (
                "[[fault]]\nstatus = 500\nnth = 1\ntimes = 2",
                "stands alone",
            ),
            (
                "[[fault]]\nstatus = 500\ncut = \"after-body\"",
                "sends no answer",
            ),
            ("[[fault]]\nhtml = true\nempty = true", "can't go together"),
            ("[[fault]]\nearly = true", "needs a `status`"),
            ("[[fault]]\nsilence = 3", "`silence` is true"),
            ("[[fault]]\ncut = \"later\"", "unknown variant `later`"),
            ("[[fault]]\ncut = \"mid-body\"\ntaken = true", "not read"),
            ("[[fault]]\nfile = \"a[\"\nstatus = 500", "`file`"),
            (
                "[[fault]]\nkey = \"my secret key\"\nstatus = 500",
                "fingerprint",
            ),
            (
                "[[fault]]\nstatus = 303\nlocation = \"a\\nb\"",
                "control characters",
            ),
        ] {
            let error = Fault::from_toml(script).unwrap_err().to_string();
            assert!(error.contains(words), "{script}\n=> {error}");
        }
    }
}
