module bouquet.dev/assets/guest

go 1.26.0
