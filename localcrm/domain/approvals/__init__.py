"""Subject: approvals."""
