import"./chunk-KRQ4VUDZ.js";
