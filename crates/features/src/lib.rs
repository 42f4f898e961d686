//! The feature graph as plain data, validated and compiled to a Plan.
