"""Subject: crm."""
