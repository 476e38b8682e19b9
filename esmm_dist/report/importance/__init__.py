"""Which fields a model uses: for a split (``esmm importance``) and for one impression (``esmm explain``)."""
