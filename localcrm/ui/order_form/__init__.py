"""What the form for orders and quotes in the browser asks for over HTTP. Every number it shows is computed here, by the rules of the house.

The form sends what was typed as text; rows that cannot be saved yet (an unknown code, a quantity that is no number) are kept beside
the draft as a setting of their user until they are mended, so that nothing typed or pasted is lost. Its parts: ``head``, ``grid`` and the fields of the
company in both (``own``) are what a paper consists of (which ones there are: ``papers``; beyond it of quotes: ``quoted``), ``sheet`` is all of it, ``saving``, ``paste`` and ``lookups`` are what is done with it, ``routes`` the doors to these.
"""

from localcrm.ui.order_form.grid import LINE, PRODUCT, preview, read_share, tax_rates
from localcrm.ui.order_form.head import CUSTOMER, ORDER, header_keys, pickers
from localcrm.ui.order_form.lookups import account, deals, products
from localcrm.ui.order_form.own import between
from localcrm.ui.order_form.papers import ORDERS, QUOTES, Paper
from localcrm.ui.order_form.paste import pasted, read_pasted
from localcrm.ui.order_form.routes import ROUTES
from localcrm.ui.order_form.saving import compare, save
from localcrm.ui.order_form.sheet import Sheet, inputs_of, load_sheet, new_sheet, rest_key

__all__ = [
    "CUSTOMER",
    "LINE",
    "ORDER",
    "ORDERS",
    "PRODUCT",
    "QUOTES",
    "ROUTES",
    "Paper",
    "Sheet",
    "account",
    "between",
    "compare",
    "deals",
    "header_keys",
    "inputs_of",
    "load_sheet",
    "new_sheet",
    "pasted",
    "pickers",
    "preview",
    "products",
    "read_pasted",
    "read_share",
    "rest_key",
    "save",
    "tax_rates",
]
