"""User studies: people rate videos without knowing who made them (ER-NeRF, Table 3)."""
