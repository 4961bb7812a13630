"""Who may ask, and what: users, roles, sessions, invitations, tokens. Every change is audited."""
