"""localcrm: an offline-first CRM, stock-and-money and office suite for small companies with branches."""

__version__ = "0.1.0"
