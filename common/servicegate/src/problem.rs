//! What can be wrong with a file or with a record of it, and where.
//!
//! A rule has one variant that carries its data; sentences are made from it here and nowhere else.
//! No sentence grows with its input: found values are cut to forty characters.

use std::fmt;

use serde::{Deserialize, Serialize};
use weir_domain::ErrorCode;

use crate::{Element, Encoding, Limit, NAMESPACE, VERSION};

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Line, from 1; a line ends with a line feed.
    pub line: u64,
    /// Characters (not bytes) into the line, from 1.
    pub column: u64,
    /// Bytes into the file as it was uploaded, whatever its encoding, from 0.
    pub byte: u64,
}

impl Position {
    /// Where every file begins.
    pub const START: Self = Self {
        line: 1,
        column: 1,
        byte: 0,
    };
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, byte } = self;
        write!(f, "line {line}, column {column} (byte {byte})")
    }
}

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident $({ $($field:ident: $type:ty),+ $(,)? })?
        = $code:literal, $sentence:literal $(, $argument:expr)*;)+) => {
        /// The rules of a file as a whole; breaking one means that nothing of the file is taken.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[expect(missing_docs, reason = "a field is what the sentence of its rule says")]
        pub enum FileRule { $($(#[$doc])* $variant $({ $($field: $type),+ })?),+ }

        impl FileRule {
            /// The fixed name of every rule.
            pub const CODES: &'static [&'static str] = &[$($code),+];

            /// A short fixed name of the rule, such as `file.cut_off`.
            pub fn code(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $code),+ }
            }
        }

        impl fmt::Display for FileRule {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant $({ $($field),+ })? => write!(f, $sentence $(, $argument)*)),+
                }
            }
        }
    };
}

rules! {
    /// The declared encoding is none of the four.
    EncodingUnsupported { declared: String } = "file.encoding_unsupported",
        "the encoding `{declared}` is not supported: use UTF-8, UTF-16 with a byte order mark, \
         ISO-8859-1 or Windows-1252";
    /// The declaration names another encoding than the file is in.
    EncodingConflict { declared: String, actual: Encoding } = "file.encoding_conflict",
        "the declaration says `{declared}`, but the file is in {actual}: correct the declaration \
         or the byte order mark";
    /// UTF-16 without a byte order mark.
    MarkMissing = "file.mark_missing",
        "a file in UTF-16 must begin with a byte order mark";
    /// A byte that means nothing in the file's encoding.
    EncodingInvalid { byte: u8, encoding: Encoding } = "file.encoding_invalid",
        "the byte {byte:#04X} is not valid here in {encoding}: declare the encoding that the file \
         was really written in";
    /// The file ends before its root element does.
    CutOff { missing: String } = "file.cut_off",
        "the file ends before {missing}: it was cut off; upload it whole";
    /// Markup that XML does not have.
    Malformed { detail: String } = "file.malformed",
        "this is not XML: {detail}";
    /// A document type declaration.
    Doctype = "file.doctype",
        "a DOCTYPE is not allowed: remove it";
    /// A character that XML 1.0 does not allow, written out or as a reference.
    CharacterForbidden { code: u32 } = "file.character_forbidden",
        "the character U+{code:04X} is not allowed in XML: remove it";
    /// A reference to an entity that is not one of XML's five, or to no character.
    ReferenceUndefined { name: String } = "file.reference_undefined",
        "the reference `&{name};` is not defined: use one of the five of XML or the number of an \
         allowed character";
    /// An end tag that does not end the element that is open.
    EndTagMismatched { expected: String, found: String } = "file.end_tag_mismatched",
        "`</{found}>` does not end `<{expected}>`";
    /// The same attribute twice on an element.
    AttributeRepeated { name: String } = "file.attribute_repeated",
        "the attribute `{name}` stands twice on this element";
    /// A prefix without a namespace declaration in scope.
    PrefixUnbound { prefix: String } = "file.prefix_unbound",
        "the prefix `{prefix}` is not bound to a namespace: declare it with `xmlns:{prefix}`";
    /// Something else than white space, comments and instructions after the root element.
    ContentAfterRoot = "file.content_after_root",
        "nothing may follow the end of the root element";
    /// Another root element.
    RootUnknown { found: String } = "file.root_unknown",
        "the root element is `{found}`: it must be `SettlementFile` in the namespace {} or in none",
        NAMESPACE;
    /// Another version of the format, or none.
    VersionUnknown { found: Option<String> } = "file.version_unknown",
        "the attribute `version` of the root must be {:?}, it is {}", VERSION,
        found.as_ref().map_or_else(|| "missing".to_owned(), |found| format!("{found:?}"));
    /// More of something than the format allows.
    LimitExceeded { limit: Limit, max: u64 } = "file.limit_exceeded",
        "there are more than {max} {limit}: split the file";
    /// No batch.
    BatchMissing = "file.batch_missing",
        "the file holds no `Batch`: it must hold at least one";
    /// A batch without a charge or refund.
    TransactionMissing = "file.transaction_missing",
        "the batch holds no `Charge` and no `Refund`: it must hold at least one";
    /// A required element of a header is missing.
    ElementMissing { element: Element } = "file.element_missing",
        "`{}` is missing: add it", element.name();
    /// A batch names no seller.
    SellerMissing = "file.seller_missing",
        "the batch names no seller: add `SellerId` or `AlternateSellerId`";
    /// A batch names its seller twice.
    SellerConflict = "file.seller_conflict",
        "the batch has both `SellerId` and `AlternateSellerId`: keep one of them";
    /// An element of a header stands more than once.
    ElementRepeated { element: Element } = "file.element_repeated",
        "`{}` stands more than once: keep one", element.name();
    /// A value of a header is not of its form.
    ValueInvalid { element: Element, reason: String } = "file.value_invalid",
        "`{}` {reason}", element.name();
    /// Text where only elements may stand.
    TextMisplaced { text: String } = "file.text_misplaced",
        "the text `{text}` stands between elements: remove it";
    /// A control count or total is not what the file holds.
    ControlMismatch { element: Element, stated: String, actual: String } = "file.control_mismatch",
        "`{}` says {stated}, but the file holds {actual}: the file is incomplete or was altered",
        element.name();
}

/// A rule of the file that is broken, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{position}, {path}: {rule}")]
pub struct FileProblem {
    /// Which rule.
    pub rule: FileRule,
    /// Where it was noticed.
    pub position: Position,
    /// The element it was noticed in, such as `/SettlementFile/Batch[2]/BatchHeader`; `/` outside
    /// the root. Elements that may stand several times are numbered from 1, each kind by itself.
    pub path: String,
}

/// A rule of one charge or refund that is broken: it alone is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{position}, {path}: {message}")]
pub struct RecordProblem {
    /// What the detail is marked with.
    pub code: ErrorCode,
    /// Where the element stands; for a missing one, where its parent begins.
    pub position: Position,
    /// The element, such as `/SettlementFile/Batch[2]/Charge[17]/TotalAmount`.
    pub path: String,
    /// The element, when it is one of the format.
    pub element: Element,
    /// The broken rule and the remedy, one sentence that names the element.
    pub message: String,
}

/// A problem in the one form in which reports show both kinds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemReport {
    /// `file.…` for the file as a whole, `bcs.…` for a record.
    pub code: String,
    /// See [`Position::line`].
    pub line: u64,
    /// See [`Position::column`].
    pub column: u64,
    /// See [`Position::byte`].
    pub byte_offset: u64,
    /// The element.
    pub path: String,
    /// The broken rule and the remedy.
    pub message: String,
}

impl ProblemReport {
    fn new(code: &str, position: Position, path: &str, message: String) -> Self {
        Self {
            code: code.to_owned(),
            line: position.line,
            column: position.column,
            byte_offset: position.byte,
            path: path.to_owned(),
            message,
        }
    }
}

impl From<&FileProblem> for ProblemReport {
    fn from(problem: &FileProblem) -> Self {
        let FileProblem {
            rule,
            position,
            path,
        } = problem;
        Self::new(rule.code(), *position, path, rule.to_string())
    }
}

impl From<&RecordProblem> for ProblemReport {
    fn from(problem: &RecordProblem) -> Self {
        Self::new(
            problem.code.code(),
            problem.position,
            &problem.path,
            problem.message.clone(),
        )
    }
}
