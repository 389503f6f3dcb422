//! What a statement that is being run consists of.

use pgrx::pg_sys::{self, NodeTag, PlannedStmt};

/// Whether a portal has one statement, whose only expression that may change anything is `call`.
///
/// # Safety
/// The portal must be one that is being run.
pub(super) unsafe fn consists_of(portal: pg_sys::Portal, call: *mut pg_sys::Node) -> bool {
    // SAFETY: the nodes are of the types that their tags say.
    unsafe {
        let Some(statement) = only_item::<PlannedStmt>((*portal).stmts) else { return false };
        let plan: *mut pg_sys::Plan = statement.planTree;
        let is_simple = statement.type_ == NodeTag::T_PlannedStmt
            && statement.subplans.is_null()
            && !plan.is_null()
            && (*plan).lefttree.is_null()
            && (*plan).qual.is_null();
        if !is_simple {
            return false;
        }
        match (*plan).type_ {
            NodeTag::T_Result => {
                (*plan.cast::<pg_sys::Result>()).resconstantqual.is_null()
                    && one_leads_to((*plan).targetlist, call)
            }
            NodeTag::T_FunctionScan => {
                let scan = plan.cast::<pg_sys::FunctionScan>();
                is_inert((*plan).targetlist.cast())
                    && only_item::<pg_sys::RangeTblFunction>((*scan).functions)
                        .is_some_and(|function| leads_to(function.funcexpr, call))
            }
            _ => false,
        }
    }
}

/// Whether all that an expression may change it changes by `call`.
unsafe fn leads_to(expression: *mut pg_sys::Node, call: *mut pg_sys::Node) -> bool {
    // SAFETY: as above; a call is a function's.
    unsafe {
        match (*expression).type_ {
            NodeTag::T_FuncExpr if expression == call => {
                is_inert((*call.cast::<pg_sys::FuncExpr>()).args.cast())
            }
            NodeTag::T_FuncExpr => {
                let function = expression.cast::<pg_sys::FuncExpr>();
                is_stable((*function).funcid) && one_leads_to((*function).args, call)
            }
            NodeTag::T_OpExpr => {
                let operation = expression.cast::<pg_sys::OpExpr>();
                is_stable((*operation).opfuncid) && one_leads_to((*operation).args, call)
            }
            NodeTag::T_NullTest => {
                leads_to((*expression.cast::<pg_sys::NullTest>()).arg.cast(), call)
            }
            NodeTag::T_RelabelType => {
                leads_to((*expression.cast::<pg_sys::RelabelType>()).arg.cast(), call)
            }
            NodeTag::T_CoerceViaIO => {
                leads_to((*expression.cast::<pg_sys::CoerceViaIO>()).arg.cast(), call)
            }
            NodeTag::T_TargetEntry => {
                leads_to((*expression.cast::<pg_sys::TargetEntry>()).expr.cast(), call)
            }
            _ => false,
        }
    }
}

/// Whether one of several expressions leads to `call`, and the others change nothing.
unsafe fn one_leads_to(expressions: *mut pg_sys::List, call: *mut pg_sys::Node) -> bool {
    // SAFETY: as above.
    unsafe {
        let mut active = items(expressions).filter(|expression| !is_inert(*expression));
        active.next().is_some_and(|first| leads_to(first, call)) && active.next().is_none()
    }
}

unsafe fn items(list: *mut pg_sys::List) -> impl Iterator<Item = *mut pg_sys::Node> {
    // SAFETY: a list of nodes, or nothing.
    let length = unsafe { list.as_ref() }.map_or(0, |list| list.length as usize);
    // SAFETY: it has so many.
    (0..length).map(move |index| unsafe { (*(*list).elements.add(index)).ptr_value.cast() })
}

/// The item of a list of one.
unsafe fn only_item<'a, T>(list: *mut pg_sys::List) -> Option<&'a T> {
    // SAFETY: each item is a node that begins as a `T` does.
    unsafe {
        let mut items = items(list);
        let item = items.next().filter(|_| items.next().is_none())?;
        Some(&*item.cast::<T>())
    }
}

/// Whether evaluating an expression, or a list of them, changes nothing.
unsafe fn is_inert(expression: *mut pg_sys::Node) -> bool {
    // SAFETY: an expression, a list of them, or nothing.
    unsafe { !pg_sys::contain_volatile_functions(expression) }
}

unsafe fn is_stable(function: pg_sys::Oid) -> bool {
    // SAFETY: a look-up in the system cache.
    unsafe { pg_sys::func_volatile(function) != pg_sys::PROVOLATILE_VOLATILE as core::ffi::c_char }
}
