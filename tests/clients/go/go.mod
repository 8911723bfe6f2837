module example.org/checkout-client

go 1.21
