"""The parts of the customer workbench: what can be done with a customer (``actions``) and its tabs (``tabs``), one file per subject."""
