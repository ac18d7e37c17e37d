//! Laying what a script says over the persona's reply.

use super::Reply;

impl Reply {
    /// This reply with everything that `self` leaves open taken from `base`.
    ///
    /// A header that is set here replaces those of that name in `base`.
    pub(crate) fn laid_over(&self, base: Self) -> Self {
        let kept = base
            .headers
            .into_iter()
            .filter(|(name, _)| !self.headers.iter().any(|(own, _)| own.eq_ignore_ascii_case(name)));
        Self {
            status: self.status.or(base.status),
            reason: self.reason.clone().or(base.reason),
            headers: kept.chain(self.headers.iter().cloned()).collect(),
            body: self.body.clone().or(base.body),
            framing: self.framing.or(base.framing),
            before_head: self.before_head.or(base.before_head),
            after_head: self.after_head.or(base.after_head),
            pace: self.pace.or(base.pace),
            split: self.split.clone().or(base.split),
            stop: self.stop.or(base.stop),
            after: self.after.or(base.after),
            raw: self.raw.clone().or(base.raw),
            persona: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_set_is_laid_over() {
        let base = Reply::bytes("said").header("A", "1").header("b", "2");
        let laid = Reply::persona().with_status(503).header("a", "3").laid_over(base);
        assert_eq!(laid.code(), 503);
        let headers: Vec<_> = laid
            .headers
            .iter()
            .map(|(name, value)| (&name[..], &value[..]))
            .collect();
        assert_eq!(headers, [(&b"b"[..], &b"2"[..]), (b"a", b"3")]);
        assert_eq!(laid.body.expect("a body")[0], "said");
    }
}
