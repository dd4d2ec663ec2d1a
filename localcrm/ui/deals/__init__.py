"""What is done with an opportunity on any screen: moved, decided, opened; the board, the list and the customer's tab use it alike."""
