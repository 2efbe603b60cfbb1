CREATE TABLE products (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    price REAL NOT NULL,            -- EUR
    quantity INTEGER NOT NULL,      -- in stock
    shelf TEXT NOT NULL
);
CREATE TABLE customers (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    town TEXT NOT NULL
);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY,
    customer_id INTEGER NOT NULL REFERENCES customers (id),
    product_id INTEGER NOT NULL REFERENCES products (id),
    quantity INTEGER NOT NULL,
    ordered_on TEXT NOT NULL        -- YYYY-MM-DD
);

INSERT INTO products (id, name, price, quantity, shelf) VALUES
    (1, 'harbour lamp', 64.0, 12, 'A1'),
    (2, 'desk lamp', 48.5, 7, 'A2'),
    (3, 'storm lantern', 39.9, 31, 'A4'),
    (4, 'copper kettle', 120.0, 4, 'B1'),
    (5, 'travel kettle', 54.25, 0, 'B2'),
    (6, 'beeswax candle', 6.5, 140, 'C1'),
    (7, 'candle snuffer', 11.75, 22, 'C2'),
    (8, 'spare wick', 1.2, 600, 'C3'),
    (9, 'glass chimney', 9.8, 45, 'C5'),
    (10, 'match tin', 3.4, 88, 'C6');

INSERT INTO customers (id, name, town) VALUES
    (1, 'Zoë Ångström', 'Harrowmere'),
    (2, 'Idris Vale', 'Harrowmere'),
    (3, 'Marta Kowalczyk', 'Saltholm'),
    (4, 'Tomás Peña', 'Nether Quay'),
    (5, 'Ruth Adeyemi', 'Saltholm');

INSERT INTO orders (id, customer_id, product_id, quantity, ordered_on) VALUES
    (1, 1, 1, 2, '2026-01-14'),
    (2, 2, 6, 24, '2026-01-20'),
    (3, 3, 4, 1, '2026-02-03'),
    (4, 1, 8, 10, '2026-02-11'),
    (5, 5, 3, 3, '2026-02-17'),
    (6, 4, 2, 1, '2026-03-05'),
    (7, 3, 9, 4, '2026-03-09'),
    (8, 5, 10, 5, '2026-03-21'),
    (9, 2, 7, 1, '2026-04-02'),
    (10, 1, 3, 1, '2026-04-18');
