//! Builds HEIF files from coded pictures and their descriptions.

/// One picture of a file, or a block of metadata.
#[derive(Clone)]
pub struct Item {
    kind: [u8; 4],
    data: Vec<u8>,
    /// Whole boxes.
    properties: Vec<Vec<u8>>,
    /// Start and length, replacing the data's real position.
    pub stated_place: Option<(u32, u32)>,
}

impl Item {
    pub fn new(kind: &[u8; 4], data: &[u8]) -> Self {
        Self { kind: *kind, data: data.to_vec(), properties: Vec::new(), stated_place: None }
    }

    /// A sample: a configuration box, followed by the coded picture.
    pub fn coded(kind: &[u8; 4], sample: &[u8], size: (u32, u32)) -> Self {
        let length = u32::from_be_bytes(*sample.first_chunk().expect("a box")) as usize;
        let (configuration, data) = sample.split_at(length);
        Self::new(kind, data).with(configuration.to_vec()).with(extent(size))
    }

    /// A picture composed of the tiles that it refers to.
    pub fn grid((columns, rows): (u8, u8), size: (u32, u32)) -> Self {
        let [width, height] = [size.0, size.1].map(|side| side as u16).map(u16::to_be_bytes);
        Self::new(b"grid", &[&[0, 0, rows - 1, columns - 1][..], &width, &height].concat()).with(extent(size))
    }

    /// With another stated size, replacing all other properties.
    pub fn stating(mut self, size: (u32, u32)) -> Self {
        self.properties = vec![extent(size)];
        self
    }

    pub fn with(mut self, property: Vec<u8>) -> Self {
        self.properties.push(property);
        self
    }
}

/// A file; its items are numbered from 1.
#[derive(Clone)]
pub struct Media {
    pub brand: [u8; 4],
    pub items: Vec<Item>,
    /// Kind, from, to.
    pub references: Vec<(&'static [u8; 4], u16, Vec<u16>)>,
    pub primary: u16,
    /// Whole boxes at the top level, after the list of items.
    pub more: Vec<u8>,
}

impl Media {
    pub fn of(brand: &[u8; 4], items: &[Item]) -> Self {
        Self { brand: *brand, items: items.to_vec(), references: Vec::new(), primary: 1, more: Vec::new() }
    }

    pub fn with_reference(mut self, kind: &'static [u8; 4], from: u16, to: &[u16]) -> Self {
        self.references.push((kind, from, to.to_vec()));
        self
    }

    pub fn file(&self) -> Vec<u8> {
        let types = boxed(b"ftyp", &[&self.brand[..], &[0; 4], b"mif1", &self.brand].concat());
        // The positions of the data follow from the length of the preceding parts, which does not depend on them.
        let before = types.len() + self.meta(0).len() + self.more.len() + 8;
        let data: Vec<u8> = self.items.iter().flat_map(|item| item.data.clone()).collect();
        [types, self.meta(before as u32), self.more.clone(), boxed(b"mdat", &data)].concat()
    }

    fn meta(&self, data_start: u32) -> Vec<u8> {
        let mut places = [&[0x44, 0][..], &(self.items.len() as u16).to_be_bytes()].concat();
        let mut names = (self.items.len() as u16).to_be_bytes().to_vec();
        let mut properties = Vec::new();
        let mut used = (self.items.len() as u32).to_be_bytes().to_vec();
        let (mut start, mut property) = (data_start, 0_u8);
        for (number, item) in (1_u16..).zip(&self.items) {
            let number = number.to_be_bytes();
            let (place, length) = item.stated_place.unwrap_or((start, item.data.len() as u32));
            places.extend([&number[..], &[0, 0, 0, 1], &place.to_be_bytes(), &length.to_be_bytes()].concat());
            start += item.data.len() as u32;
            names.extend(full(b"infe", 2, &[&number[..], &[0, 0], &item.kind, &[0]].concat()));
            used.extend([&number[..], &[item.properties.len() as u8]].concat());
            for raw in &item.properties {
                property += 1;
                let is_essential = matches!(&raw[4..8], b"hvcC" | b"av1C" | b"irot" | b"imir" | b"clap");
                used.push(u8::from(is_essential) << 7 | property);
                properties.extend(raw);
            }
        }
        let references = self.references.iter().flat_map(|(kind, from, to)| {
            let numbers = [*from, to.len() as u16].into_iter().chain(to.iter().copied());
            boxed(kind, &numbers.flat_map(u16::to_be_bytes).collect::<Vec<u8>>())
        });
        let references: Vec<u8> = references.collect();
        let parts = [
            full(b"hdlr", 0, &[&[0; 4], b"pict".as_slice(), &[0; 13]].concat()),
            full(b"pitm", 0, &self.primary.to_be_bytes()),
            full(b"iloc", 0, &places),
            full(b"iinf", 0, &names),
            if references.is_empty() { Vec::new() } else { full(b"iref", 0, &references) },
            boxed(b"iprp", &[boxed(b"ipco", &properties), full(b"ipma", 0, &used)].concat()),
        ];
        full(b"meta", 0, &parts.concat())
    }
}

pub fn boxed(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    [&(content.len() as u32 + 8).to_be_bytes(), name.as_slice(), content].concat()
}

/// A box with a version, and flags of zero.
pub fn full(name: &[u8; 4], version: u8, content: &[u8]) -> Vec<u8> {
    boxed(name, &[&[version, 0, 0, 0], content].concat())
}

pub fn extent((width, height): (u32, u32)) -> Vec<u8> {
    full(b"ispe", 0, &[width.to_be_bytes(), height.to_be_bytes()].concat())
}

/// Turned anticlockwise by this number of quarters.
pub fn rotation(quarters: u8) -> Vec<u8> {
    boxed(b"irot", &[quarters])
}

/// 0 swaps top and bottom, 1 left and right.
pub fn mirror(axis: u8) -> Vec<u8> {
    boxed(b"imir", &[axis])
}

/// Colours by the numbers of H.273.
pub fn code_points(primaries: u16, transfer: u16, matrix: u16, is_full_range: bool) -> Vec<u8> {
    let numbers = [primaries, transfer, matrix].map(u16::to_be_bytes).concat();
    boxed(b"colr", &[b"nclx".as_slice(), &numbers, &[u8::from(is_full_range) << 7]].concat())
}

pub fn profile(icc: &[u8]) -> Vec<u8> {
    boxed(b"colr", &[b"prof", icc].concat())
}

/// The purpose of an auxiliary picture.
pub fn auxiliary(purpose: &str) -> Vec<u8> {
    full(b"auxC", 0, &[purpose.as_bytes(), &[0]].concat())
}

pub const OPACITY: &str = "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha";
pub const DEPTH: &str = "urn:mpeg:mpegB:cicp:systems:auxiliary:depth";
