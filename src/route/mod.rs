//! Request head → decision. Pure.
