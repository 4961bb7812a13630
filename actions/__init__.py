"""What is decided: plans, approvals, effects, undo, appeals and the audit, in one transactional ledger."""
