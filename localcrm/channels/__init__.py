"""Adapters between the program and the world outside: files that people bring, mail, sms, telephone."""
