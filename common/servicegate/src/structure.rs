//! Batches, headers and records: what their ends produce, and the controls.

use weir_domain::{BatchOrdinal, Currency, ErrorCode, LineNumber, TransactionType};

use crate::capture::{Fault, Fields};
use crate::machine::{Flaw, Flow, Machine};
use crate::record::{Fallback, build, facts_of};
use crate::state::{Batch, Frame, HeaderState, Pending, Phase, Sums, push_step};
use crate::{
    BatchHeader, BatchSummary, Element, FileProblem, FileRule, Limit, Record, RecordProblem,
    Rejected, Stated, Total, TotalCheck, header,
};

impl Machine<'_> {
    /// Whether a record begins in a batch whose header has not been met.
    pub(crate) fn header_is_wanted(&self, found: Option<(usize, crate::Child)>) -> bool {
        let is_record = found
            .is_some_and(|(_, child)| matches!(child.element, Element::Charge | Element::Refund));
        let batch = self.state.batch.as_ref();
        is_record && !self.ahead && batch.is_some_and(|batch| batch.header == HeaderState::Unseen)
    }

    /// Whether an element of the format is read like an unknown one: a record on the way to a
    /// header, and a header that was read ahead.
    pub(crate) fn passes_over(&mut self, element: Element) -> bool {
        match element {
            Element::Charge | Element::Refund => self.ahead,
            Element::BatchHeader => {
                let Some(batch) = self.state.batch.as_mut() else {
                    return false;
                };
                let (header, ahead) =
                    match std::mem::replace(&mut batch.header, HeaderState::Unseen) {
                        HeaderState::Ahead(header) => (HeaderState::Read(header), true),
                        HeaderState::Broken { ahead } => {
                            (HeaderState::Broken { ahead: false }, ahead)
                        }
                        other => (other, false),
                    };
                batch.header = header;
                ahead
            }
            _ => false,
        }
    }

    pub(crate) fn begin_batch(&mut self, at: usize) -> Result<(), Flaw> {
        let max = self.limits.batches_per_file;
        let exceeded = || Flaw::limit(Limit::BatchesPerFile, u64::from(max), at);
        let number = self.state.batches.saturating_add(1);
        if number > max {
            return Err(exceeded());
        }
        let ordinal = BatchOrdinal::new(number).map_err(|_| exceeded())?;
        self.state.batches = number;
        self.state.batch = Some(Batch {
            ordinal,
            start: self.window.position(at),
            header: HeaderState::Unseen,
            charges: 0,
            refunds: 0,
            errors: 0,
            sums: Sums::Empty,
        });
        Ok(())
    }

    pub(crate) fn begin_capture(&mut self, element: Element, at: usize) -> Result<(), Flaw> {
        if matches!(element, Element::Charge | Element::Refund) {
            let max = self.limits.transactions_per_batch;
            let records = self.state.batch.as_ref().map_or(0, Batch::records);
            if records >= max {
                return Err(Flaw::limit(Limit::TransactionsPerBatch, u64::from(max), at));
            }
        }
        self.window.reach(at);
        self.kept = Some(at);
        self.work.capture.begin(element, self.state.frames.len());
        Ok(())
    }

    /// An element of the format ends between the two indices.
    pub(crate) fn finish(
        &mut self,
        element: Element,
        frame: &Frame,
        at: usize,
        end: usize,
    ) -> Result<Flow, Flaw> {
        if !self.work.capture.active() {
            return match element {
                Element::Batch => Ok(self.end_batch(end)),
                Element::SettlementFile => Ok(self.end_root()),
                _ => Ok(Flow::Go),
            };
        }
        let depth = self.state.frames.len();
        if element.holds_text() {
            let own = depth == self.work.capture.depth + 1;
            self.work.capture.close_text(element, frame.index, own);
            return Ok(Flow::Go);
        }
        self.check_missing(element, frame);
        if depth > self.work.capture.depth {
            let at = at - self.kept.unwrap_or(at);
            self.work.capture.close(element, at);
            return Ok(Flow::Go);
        }
        self.end_capture(at, end)
    }

    fn check_missing(&mut self, element: Element, frame: &Frame) {
        let shape = element.shape();
        if shape.required & !frame.seen == 0 || self.work.capture.full() {
            return;
        }
        let at = self.work.capture.container_at();
        for (place, child) in shape.children.iter().enumerate() {
            if shape.required & !frame.seen & (1 << place) == 0 {
                continue;
            }
            let mut path = self.state.path();
            push_step(&mut path, child.element.name(), 0);
            self.work.capture.fault(Fault {
                at,
                element: child.element,
                path,
                code: ErrorCode::ElementMissing,
                reason: "is missing: add it".to_owned(),
            });
        }
    }

    fn end_capture(&mut self, at: usize, end: usize) -> Result<Flow, Flaw> {
        let base = self.kept.unwrap_or(at);
        if self.transaction_exceeded(end - base) {
            return Err(self.transaction_limit(base));
        }
        let root = self.work.capture.root();
        match root {
            Some(Element::Charge) => self.end_record(TransactionType::Charge, base, end)?,
            Some(Element::Refund) => self.end_record(TransactionType::Refund, base, end)?,
            Some(Element::BatchHeader) => self.end_batch_header(base, end),
            _ => self.end_file_header(base, end),
        }
        self.work.capture.end();
        self.kept = None;
        Ok(Flow::Stop)
    }

    fn end_file_header(&mut self, base: usize, end: usize) {
        let source = self.window.text().get(base..end).unwrap_or_default();
        let mut fields = Fields::new(&mut self.work.capture, source, self.state);
        let header = Box::new(header::file_header(&mut fields, self.window, base));
        self.header_problems(base);
        self.state.file_header = Some(header.clone());
        self.state.pending.push_back(Pending::FileHeader(header));
    }

    fn end_batch_header(&mut self, base: usize, end: usize) {
        let Some(batch) = self.state.batch.as_ref() else {
            return;
        };
        let of = (batch.ordinal, batch.start);
        let source = self.window.text().get(base..end).unwrap_or_default();
        let mut fields = Fields::new(&mut self.work.capture, source, self.state);
        let read = header::batch_header(&mut fields, self.window, base, of);
        if let Err(Some(rule)) = &read {
            let path = self.state.path();
            self.problem(rule.clone(), base, path);
        }
        self.header_problems(base);
        let sound = read.ok().filter(|_| self.work.capture.faults.is_empty());
        let state = match sound {
            None => HeaderState::Broken { ahead: self.ahead },
            Some(header) => {
                let kept = Box::new(header.clone());
                let xml = self.keep_xml.then(|| source.to_owned());
                let start = Pending::BatchStart(Box::new(BatchHeader { xml, ..header }));
                self.state.pending.push_back(start);
                HeaderState::Read(kept)
            }
        };
        if let Some(batch) = self.state.batch.as_mut() {
            batch.header = state;
        }
    }

    /// Turns what is wrong with the captured header into problems of the file.
    fn header_problems(&mut self, base: usize) {
        self.work.capture.faults.sort_by_key(|fault| fault.at);
        for place in 0..self.work.capture.faults.len() {
            let Some(fault) = self.work.capture.faults.get(place).cloned() else {
                return;
            };
            let Fault {
                element, reason, ..
            } = fault;
            let rule = match fault.code {
                ErrorCode::ElementMissing => FileRule::ElementMissing { element },
                ErrorCode::ElementRepeated => FileRule::ElementRepeated { element },
                _ => FileRule::ValueInvalid { element, reason },
            };
            self.problem(rule, base + fault.at, fault.path);
        }
    }

    fn end_record(&mut self, kind: TransactionType, base: usize, end: usize) -> Result<(), Flaw> {
        let fallback = self.fallback();
        let source = self.window.text().get(base..end).unwrap_or_default();
        let mut fields = Fields::new(&mut self.work.capture, source, self.state);
        let built = build(&mut fields, kind, fallback, &mut self.work.currency);
        let problems = self.record_problems(base);
        let position = self.window.position(base);
        let Some(batch) = self.state.batch.as_mut() else {
            return Err(Flaw::malformed("a record outside of a batch", base));
        };
        match kind {
            TransactionType::Charge => batch.charges += 1,
            TransactionType::Refund => batch.refunds += 1,
        }
        let line = LineNumber::new(batch.records()).map_err(|_| {
            let max = u64::from(self.limits.transactions_per_batch);
            Flaw::limit(Limit::TransactionsPerBatch, max, base)
        })?;
        let wanted = batch.header().and_then(|header| header.currency);
        batch
            .sums
            .add(kind, built.currency.zip(built.amount), wanted);
        let transaction = match (built.transaction, built.facts) {
            (Some(transaction), _) if problems.is_empty() => Ok(transaction),
            (transaction, facts) => {
                batch.errors += u32::from(!problems.is_empty());
                let facts = facts.or_else(|| transaction.as_ref().map(facts_of));
                Err(Box::new(Rejected::new(kind, facts, problems)))
            }
        };
        let batch = batch.ordinal;
        let reached = self.window.reach(end);
        self.work.record = Some(Box::new(Record {
            batch,
            line,
            position,
            byte_range: position.byte..reached.byte,
            xml: self.keep_xml.then(|| source.to_owned()),
            transaction,
        }));
        Ok(())
    }

    fn fallback(&self) -> Fallback {
        match self.state.batch.as_ref().and_then(Batch::header) {
            None => Fallback::Unknown,
            Some(header) => header.currency.map_or(Fallback::None, Fallback::Currency),
        }
    }

    fn record_problems(&mut self, base: usize) -> Vec<RecordProblem> {
        self.work.capture.faults.sort_by_key(|fault| fault.at);
        let faults = self.work.capture.faults.drain(..);
        let window = self.window;
        faults
            .map(|fault| RecordProblem {
                code: fault.code,
                position: window.position(base + fault.at),
                path: fault.path,
                element: fault.element,
                message: format!("`{}` {}", fault.element.name(), fault.reason),
            })
            .collect()
    }

    fn end_batch(&mut self, end: usize) -> Flow {
        let path = self.state.path();
        if self.ahead {
            self.header_missing();
            return Flow::Stop;
        }
        let unseen = |batch: &Batch| batch.header == HeaderState::Unseen;
        if self.state.batch.as_ref().is_some_and(unseen) {
            self.header_missing();
        }
        let Some(batch) = self.state.batch.take() else {
            return Flow::Go;
        };
        if batch.records() == 0 {
            let rule = FileRule::TransactionMissing;
            let position = batch.start;
            self.problem_at(FileProblem {
                rule,
                position,
                path,
            });
        }
        let header = batch.header();
        if let Some(stated) = header.and_then(|header| header.transaction_count.as_ref()) {
            let actual = u64::from(batch.records());
            let path = self.state.header_path(Some(Element::TransactionCount));
            self.check_count(Element::TransactionCount, stated, actual, path);
        }
        let currency = header.and_then(|header| header.currency);
        let (currency, charges, refunds) = batch.sums.known(currency);
        let charge_stated = header.and_then(|header| header.charge_total.as_ref());
        let refund_stated = header.and_then(|header| header.refund_total.as_ref());
        let charge_total_check =
            self.check_total(Element::ChargeTotal, charge_stated, currency, charges);
        let refund_total_check =
            self.check_total(Element::RefundTotal, refund_stated, currency, refunds);
        self.state.records += u64::from(batch.records());
        self.state.errors += u64::from(batch.errors);
        let reached = self.window.reach(end);
        self.state
            .pending
            .push_back(Pending::BatchEnd(Box::new(BatchSummary {
                ordinal: batch.ordinal,
                records: batch.records(),
                charges: batch.charges,
                refunds: batch.refunds,
                errors: batch.errors,
                currency,
                charge_total: currency.map(|_| charges),
                refund_total: currency.map(|_| refunds),
                charge_total_check,
                refund_total_check,
                byte_range: batch.start.byte..reached.byte,
            })));
        Flow::Stop
    }

    fn header_missing(&mut self) {
        let path = self.state.header_path(None);
        let Some(batch) = self.state.batch.as_mut() else {
            return;
        };
        batch.header = HeaderState::Broken { ahead: false };
        let position = batch.start;
        let element = Element::BatchHeader;
        self.problem_at(FileProblem {
            rule: FileRule::ElementMissing { element },
            position,
            path,
        });
    }

    fn check_count(&mut self, element: Element, stated: &Stated<u64>, actual: u64, path: String) {
        if stated.value == actual {
            return;
        }
        let rule = FileRule::ControlMismatch {
            element,
            stated: stated.value.to_string(),
            actual: actual.to_string(),
        };
        self.problem_at(FileProblem {
            rule,
            position: stated.position,
            path,
        });
    }

    fn check_total(
        &mut self,
        element: Element,
        stated: Option<&Stated<String>>,
        currency: Option<Currency>,
        actual: Total,
    ) -> TotalCheck {
        let Some(stated) = stated else {
            return TotalCheck::NotStated;
        };
        let Some(currency) = currency else {
            return TotalCheck::NotCheckable;
        };
        let total = Total::parse(&stated.value, currency);
        if total == Some(actual) {
            return TotalCheck::Matched;
        }
        let rule = match total {
            Some(_) => FileRule::ControlMismatch {
                element,
                stated: stated.value.clone(),
                actual: actual.in_major(currency),
            },
            None => FileRule::ValueInvalid {
                element,
                reason: format!(
                    "must have at most {} decimals in {currency}",
                    currency.decimals()
                ),
            },
        };
        let path = self.state.header_path(Some(element));
        self.problem_at(FileProblem {
            rule,
            position: stated.position,
            path,
        });
        TotalCheck::Mismatched
    }

    fn end_root(&mut self) -> Flow {
        self.state.phase = Phase::Epilog;
        let path = self.state.path();
        if self.state.batches == 0 {
            let position = self.window.position(self.cursor);
            self.problem_at(FileProblem {
                rule: FileRule::BatchMissing,
                position,
                path,
            });
        }
        let header = self.state.file_header.take().unwrap_or_default();
        let (batches, records) = (u64::from(self.state.batches), self.state.records);
        for (element, stated, actual) in [
            (Element::BatchCount, &header.batch_count, batches),
            (
                Element::TransactionCount,
                &header.transaction_count,
                records,
            ),
        ] {
            if let Some(stated) = stated {
                let mut path = self.state.path();
                push_step(&mut path, Element::FileHeader.name(), 0);
                push_step(&mut path, element.name(), 0);
                self.check_count(element, stated, actual, path);
            }
        }
        if self.state.pending.is_empty() {
            Flow::Go
        } else {
            Flow::Stop
        }
    }
}

impl Sums {
    /// Adds an amount; loses the sums when it is not known or not in the one currency.
    fn add(
        &mut self,
        kind: TransactionType,
        amount: Option<(Currency, weir_domain::Amount)>,
        wanted: Option<Currency>,
    ) {
        let Some((currency, amount)) = amount else {
            *self = Self::Lost;
            return;
        };
        if *self == Self::Empty {
            *self = Self::In {
                currency: wanted.unwrap_or(currency),
                charges: Total::default(),
                refunds: Total::default(),
            };
        }
        match self {
            Self::In {
                currency: one,
                charges,
                refunds,
            } if *one == currency => match kind {
                TransactionType::Charge => *charges = charges.plus(amount),
                TransactionType::Refund => *refunds = refunds.plus(amount),
            },
            _ => *self = Self::Lost,
        }
    }

    /// The currency that the sums are in, when they mean something, and the sums.
    fn known(&self, wanted: Option<Currency>) -> (Option<Currency>, Total, Total) {
        match self {
            Self::Empty => (wanted, Total::default(), Total::default()),
            Self::In {
                currency,
                charges,
                refunds,
            } => (Some(*currency), *charges, *refunds),
            Self::Lost => (None, Total::default(), Total::default()),
        }
    }
}
