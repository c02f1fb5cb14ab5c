import"./chunk-IPXEECXU.js";
