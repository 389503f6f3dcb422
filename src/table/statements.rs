//! Every statement that touches the rows of the table.
//!
//! Names and operators are schema-qualified throughout: the statements run with the owner's rights
//! under whatever `search_path` the caller has. A `ctid` never stands alone, for in a partitioned
//! table it names a row of each partition.

use super::columns::{self, AUTHENTICATED_AT, COLUMNS, DATA, EXPIRY, KEY};
use super::moved;
use crate::pg::Column;
use pgrx::pg_sys::{
    BYTEAOID, INT8OID, OIDOID, Oid, TEXTOID, TIDARRAYOID, TIMESTAMPTZOID, UUIDARRAYOID, UUIDOID,
};

/// A set of columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns(u32);

impl FromIterator<usize> for Columns {
    fn from_iter<T: IntoIterator<Item = usize>>(columns: T) -> Self {
        Self(columns.into_iter().fold(0, |set, column| set | 1 << column))
    }
}

impl Columns {
    fn iter(self) -> impl Iterator<Item = usize> {
        (0..COLUMNS.len()).filter(move |column| self.has(*column))
    }

    /// Whether a column is one of them.
    pub fn has(self, column: usize) -> bool {
        self.0 & 1 << column != 0
    }
}

/// Some of the sessions of a principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The one with a handle.
    One,
    /// All, but maybe for one.
    AllBut,
    /// Those without one of some handles.
    Without,
}

/// What to do with them on the way to their end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Lock them; their handles, and whether they are live.
    Lock,
    /// Remove them.
    Remove,
    /// Remove them; their handles, and whether they were live.
    RemoveAndTell,
}

/// A statement, kept as a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Read a session.
    Find,
    /// Lock a session, if the row is as it was read.
    Lock,
    /// Add a session unless the key is taken. Locks nothing that is there already.
    Insert,
    /// Add a session; an error if the key is taken.
    InsertPlainly,
    /// Change columns, if the row is as it was read.
    Update(Columns),
    /// Replace the expiry, if the row is as it was read and nobody has it locked.
    Slide,
    /// Remove a session, if the row is as it was read.
    Delete,
    /// Count live sessions.
    Count,
    /// Remove live sessions.
    Clear,
    /// Read the live sessions of a principal.
    OfPrincipal {
        /// Else it is empty.
        with_content: bool,
    },
    /// Do something to sessions of a principal.
    End(Part, Step),
    /// Find whom the session with a handle belongs to. There is no index for that.
    PrincipalOf,
    /// Remove expired sessions that nobody has locked.
    Collect,
    /// Find the addresses of expired sessions.
    Expired,
    /// Remove those of the sessions at some addresses that are expired and that nobody has locked.
    CollectAt,
    /// Read what is known of an id that a session had.
    FindMoved,
    /// Add one.
    AddMoved,
    /// Remove it.
    ForgetMoved,
    /// Remove those that led to a key.
    ForgetWaysTo,
    /// Remove those that reach nothing any more and that nobody has locked.
    CollectMoved,
    /// Find the functions that run with the rows of a table or of its partitions.
    Functions,
}

/// The parameters by which a row is recognised come first, see [`columns::compared`].
fn first_change() -> usize {
    columns::compared().count() + 1
}

fn name(column: usize) -> &'static str {
    name_of(&COLUMNS[column])
}

fn name_of(column: &Column) -> &'static str {
    column.name.to_str().expect("a column's name is ASCII")
}

fn names(columns: &[Column]) -> String {
    columns.iter().map(name_of).collect::<Vec<_>>().join(", ")
}

/// `format` of each column and of its parameter, the first of which is `$first`.
fn list(
    columns: impl IntoIterator<Item = usize>,
    first: usize,
    separator: &str,
    format: impl Fn(&str, usize) -> String,
) -> String {
    let formatted = columns.into_iter().zip(first..).map(|(column, n)| format(name(column), n));
    formatted.collect::<Vec<_>>().join(separator)
}

/// True while the row is as it was read. The version stands for the content.
fn as_read(lacks: Columns) -> String {
    let conditions = columns::compared().zip(1..).map(|(column, n)| {
        if lacks.has(column) {
            return format!("${n} IS NULL");
        }
        let equal = format!("{} OPERATOR(pg_catalog.=) ${n}", name(column));
        match COLUMNS[column].is_nullable {
            true => format!("({equal} OR {} IS NULL AND ${n} IS NULL)", name(column)),
            false => equal,
        }
    });
    conditions.collect::<Vec<_>>().join(" AND ")
}

impl Statement {
    /// Whether it changes or locks rows of the table.
    pub fn is_a_change(self) -> bool {
        use Statement::*;
        !matches!(
            self,
            Find | Count | OfPrincipal { .. } | PrincipalOf | Expired | FindMoved | Functions
        )
    }

    /// Whether it asks the catalog alone.
    pub fn is_of_catalog(self) -> bool {
        self == Statement::Functions
    }

    /// The text, for a table in `schema` (quoted) that `lacks` some columns.
    pub fn text(self, schema: &str, lacks: Columns) -> String {
        let session = format!("{schema}.session");
        let as_read = || as_read(lacks);
        let is_live = |first| is_live(first, lacks);
        let moved = format!("{schema}.session_moved");
        let key = name(KEY);
        match self {
            Statement::Find => format!(
                "SELECT {} FROM {session} WHERE {key} OPERATOR(pg_catalog.=) $1",
                list(0..COLUMNS.len(), 1, ", ", |column, n| match lacks.has(n - 1) {
                    true => format!("NULL AS {column}"),
                    false => column.to_owned(),
                })
            ),
            Statement::Lock => {
                format!("SELECT FROM {session} WHERE {} FOR NO KEY UPDATE", as_read())
            }
            Statement::Insert => format!(
                "{} ON CONFLICT ON CONSTRAINT session_key DO NOTHING",
                Statement::InsertPlainly.text(schema, lacks)
            ),
            Statement::InsertPlainly => {
                let columns = || (0..COLUMNS.len()).filter(|column| !lacks.has(*column));
                let parameters = columns().map(|column| format!("${}", column + 1));
                format!(
                    "INSERT INTO {session} ({}) VALUES ({})",
                    list(columns(), 1, ", ", |column, _| column.to_owned()),
                    parameters.collect::<Vec<_>>().join(", ")
                )
            }
            Statement::Update(columns) => format!(
                "UPDATE {session} SET {} WHERE {}",
                list(columns.iter(), first_change(), ", ", |column, n| format!("{column} = ${n}")),
                as_read()
            ),
            Statement::Slide => format!(
                "UPDATE {session} SET {} = ${} WHERE ctid OPERATOR(pg_catalog.=) \
                 (SELECT ctid FROM {session} WHERE {} FOR NO KEY UPDATE SKIP LOCKED) \
                 AND {key} OPERATOR(pg_catalog.=) $1",
                name(EXPIRY),
                first_change(),
                as_read()
            ),
            Statement::Delete => format!("DELETE FROM {session} WHERE {}", as_read()),
            Statement::Count => {
                format!("SELECT pg_catalog.count(*) FROM {session} WHERE {}", is_live(1))
            }
            Statement::Clear => format!("DELETE FROM {session} WHERE {}", is_live(1)),
            Statement::OfPrincipal { with_content } => format!(
                "SELECT {} FROM {session} WHERE {OF_PRINCIPAL} AND {}",
                list(0..COLUMNS.len(), 1, ", ", |column, _| match column == name(DATA) {
                    true if !with_content => format!("'\\x'::pg_catalog.bytea AS {column}"),
                    _ => column.to_owned(),
                }),
                is_live(2)
            ),
            Statement::End(part, step) => {
                let which = match part {
                    Part::One => "handle OPERATOR(pg_catalog.=) $2".to_owned(),
                    Part::Without => {
                        "(handle OPERATOR(pg_catalog.=) ANY ($2)) IS NOT TRUE".to_owned()
                    }
                    Part::AllBut => format!("($2 IS NULL OR {key} OPERATOR(pg_catalog.<>) $2)"),
                };
                let from = format!("FROM {session} WHERE {OF_PRINCIPAL} AND {which}");
                let told = format!("handle, {}", is_live(3));
                match step {
                    Step::Lock => format!("SELECT {told} {from} FOR UPDATE"),
                    Step::Remove => format!("DELETE {from}"),
                    Step::RemoveAndTell => format!("DELETE {from} RETURNING {told}"),
                }
            }
            Statement::PrincipalOf => {
                format!("SELECT principal FROM {session} WHERE handle OPERATOR(pg_catalog.=) $1")
            }
            Statement::Collect => format!(
                "DELETE FROM {session} WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY(\
                 SELECT ctid FROM {session} WHERE session_expiry OPERATOR(pg_catalog.<=) $1 \
                 ORDER BY session_expiry LIMIT $2 FOR UPDATE SKIP LOCKED)) \
                 AND session_expiry OPERATOR(pg_catalog.<=) $1"
            ),
            Statement::Expired => format!(
                "SELECT ctid, session_expiry FROM {session} \
                 WHERE session_expiry OPERATOR(pg_catalog.>=) $1 \
                 AND session_expiry OPERATOR(pg_catalog.<=) $2 ORDER BY session_expiry"
            ),
            Statement::CollectAt => format!(
                "DELETE FROM {session} WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY(\
                 SELECT ctid FROM {session} WHERE ctid OPERATOR(pg_catalog.=) ANY ($1) \
                 AND session_expiry OPERATOR(pg_catalog.<=) $2 FOR UPDATE SKIP LOCKED)) \
                 AND session_expiry OPERATOR(pg_catalog.<=) $2"
            ),
            Statement::FindMoved => format!(
                "SELECT {} FROM {moved} WHERE moved_key OPERATOR(pg_catalog.=) $1",
                names(moved::COLUMNS)
            ),
            Statement::AddMoved => {
                format!(
                    "INSERT INTO {moved} ({}) VALUES ($1, $2, $3, $4, $5)",
                    names(moved::COLUMNS)
                )
            }
            Statement::ForgetMoved => {
                format!("DELETE FROM {moved} WHERE moved_key OPERATOR(pg_catalog.=) $1")
            }
            Statement::ForgetWaysTo => {
                format!("DELETE FROM {moved} WHERE session_key OPERATOR(pg_catalog.=) $1")
            }
            Statement::CollectMoved => format!(
                "DELETE FROM {moved} WHERE ctid OPERATOR(pg_catalog.=) ANY (ARRAY(\
                 SELECT ctid FROM {moved} WHERE valid_until OPERATOR(pg_catalog.>=) $1 \
                 AND valid_until OPERATOR(pg_catalog.<=) $2 \
                 ORDER BY valid_until LIMIT $3 FOR UPDATE SKIP LOCKED)) \
                 AND valid_until OPERATOR(pg_catalog.<=) $2 RETURNING valid_until"
            ),
            Statement::Functions => FUNCTIONS.to_owned(),
        }
    }

    /// The types of the parameters.
    pub fn types(self) -> Vec<Oid> {
        let kind = |column: usize| COLUMNS[column].kind;
        let and_as_read = |changes: &[Oid]| {
            columns::compared().map(kind).chain(changes.iter().copied()).collect::<Vec<_>>()
        };
        match self {
            Statement::Find
            | Statement::FindMoved
            | Statement::ForgetMoved
            | Statement::ForgetWaysTo => vec![BYTEAOID],
            Statement::Lock | Statement::Delete => and_as_read(&[]),
            Statement::Insert | Statement::InsertPlainly => {
                COLUMNS.iter().map(|column| column.kind).collect()
            }
            Statement::Update(columns) => {
                and_as_read(&columns.iter().map(kind).collect::<Vec<_>>())
            }
            Statement::Slide => and_as_read(&[kind(EXPIRY)]),
            Statement::OfPrincipal { .. } => vec![TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID],
            Statement::End(part, step) => {
                let which = match part {
                    Part::One => UUIDOID,
                    Part::AllBut => BYTEAOID,
                    Part::Without => UUIDARRAYOID,
                };
                let times = [TIMESTAMPTZOID; 2].into_iter().filter(|_| step != Step::Remove);
                [TEXTOID, which].into_iter().chain(times).collect()
            }
            Statement::PrincipalOf => vec![UUIDOID],
            Statement::Count | Statement::Clear | Statement::Expired => {
                vec![TIMESTAMPTZOID, TIMESTAMPTZOID]
            }
            Statement::Collect => vec![TIMESTAMPTZOID, INT8OID],
            Statement::CollectMoved => vec![TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID],
            Statement::CollectAt => vec![TIDARRAYOID, TIMESTAMPTZOID],
            Statement::AddMoved => moved::COLUMNS.iter().map(|column| column.kind).collect(),
            Statement::Functions => vec![OIDOID],
        }
    }
}

/// A parameter is text, whose collation is the column's.
const OF_PRINCIPAL: &str = "principal OPERATOR(pg_catalog.=) $1";

/// Live at the time of the parameter `$first`, if begun after that of the next one.
fn is_live(first: usize, lacks: Columns) -> String {
    let began = match lacks.has(AUTHENTICATED_AT) {
        true => "created_at",
        false => "COALESCE(authenticated_at, created_at)",
    };
    format!(
        "session_expiry OPERATOR(pg_catalog.>) ${first} AND {began} OPERATOR(pg_catalog.>) ${}",
        first + 1
    )
}

/// The functions that triggers, rules, indexes, statistics, constraints and defaults of a table call, by
/// name, by an operator or by the constraints of a domain, and whether a query may run them, too. Also
/// those of its partitions and child tables, and of what its rules reach. Of a table that references it
/// the triggers count that come after the action of the foreign key, for they run as who changed the row
/// that is referenced. What came with the server is pinned: nothing depends on it.
const FUNCTIONS: &str = "\
    WITH RECURSIVE relation (id, way) AS (\
        SELECT $1, 'own'::pg_catalog.text \
        UNION SELECT next, CASE WHEN by OPERATOR(pg_catalog.=) 'own' THEN way ELSE by END \
        FROM relation JOIN (\
            SELECT inhparent AS this, inhrelid AS next, 'own'::pg_catalog.text AS by FROM pg_catalog.pg_inherits \
            UNION ALL SELECT confrelid, conrelid, 'key' FROM pg_catalog.pg_constraint \
                WHERE contype OPERATOR(pg_catalog.=) 'f' \
            UNION ALL SELECT ev_class, refobjid, 'rule' FROM pg_catalog.pg_rewrite \
                JOIN pg_catalog.pg_depend ON objid OPERATOR(pg_catalog.=) pg_rewrite.oid \
                    AND classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
                    AND refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass \
                    AND refobjid OPERATOR(pg_catalog.<>) ev_class\
        ) AS reached ON this OPERATOR(pg_catalog.=) id\
    ), object (classid, objid, in_queries) AS (\
        SELECT pg_trigger.tableoid, pg_trigger.oid, false \
            FROM pg_catalog.pg_trigger JOIN relation ON tgrelid OPERATOR(pg_catalog.=) id \
            WHERE tgenabled OPERATOR(pg_catalog.<>) 'D' \
                AND (way OPERATOR(pg_catalog.<>) 'key' OR tgtype::integer OPERATOR(pg_catalog.&) 2 OPERATOR(pg_catalog.=) 0) \
        UNION ALL SELECT pg_rewrite.tableoid, pg_rewrite.oid, \
                ev_type OPERATOR(pg_catalog.=) '1' AND way OPERATOR(pg_catalog.=) 'own' \
            FROM pg_catalog.pg_rewrite JOIN relation ON ev_class OPERATOR(pg_catalog.=) id \
            WHERE way OPERATOR(pg_catalog.<>) 'key' \
        UNION ALL SELECT classid, objid, in_queries AND way OPERATOR(pg_catalog.=) 'own' FROM relation JOIN (\
            SELECT tableoid AS classid, oid AS objid, conrelid AS of, true AS in_queries \
                FROM pg_catalog.pg_constraint \
            UNION ALL SELECT tableoid, oid, adrelid, false FROM pg_catalog.pg_attrdef \
            UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, indexrelid, indrelid, true \
                FROM pg_catalog.pg_index \
            UNION ALL SELECT tableoid, oid, stxrelid, true FROM pg_catalog.pg_statistic_ext \
            UNION ALL SELECT pg_constraint.tableoid, pg_constraint.oid, attrelid, false \
                FROM pg_catalog.pg_attribute \
                JOIN pg_catalog.pg_constraint ON contypid OPERATOR(pg_catalog.=) atttypid\
        ) AS part ON of OPERATOR(pg_catalog.=) id WHERE way OPERATOR(pg_catalog.<>) 'key'\
    ), used (refclassid, refobjid, in_queries) AS (\
        SELECT refclassid, refobjid, in_queries FROM pg_catalog.pg_depend \
        JOIN object ON pg_depend.classid OPERATOR(pg_catalog.=) object.classid \
            AND pg_depend.objid OPERATOR(pg_catalog.=) object.objid\
    ) \
    SELECT refobjid, in_queries FROM used \
    WHERE refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass \
    UNION SELECT oprcode::pg_catalog.oid, in_queries \
    FROM used JOIN pg_catalog.pg_operator ON pg_operator.oid OPERATOR(pg_catalog.=) refobjid \
    WHERE refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_operator'::pg_catalog.regclass";
