"""What participants' browsers ask for: pages, images, texts, the interface of answers."""
