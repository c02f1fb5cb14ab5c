//! Whole JPEG files of every layout that the format knows, made from a fuzzer's bytes: any sampling factors, sizes that are
//! no multiple of them, one scan or several, restarts, an orientation, a profile, an Adobe marker.

use arbitrary::{Arbitrary, Result, Unstructured};

/// What to write. The coefficients come from bytes of their own.
#[derive(Debug)]
pub struct Recipe {
    pub width: u16,
    pub height: u16,
    /// The last digit of the frame's marker: 0 and 1 sequential, 2 progressive, 9 and 10 the same with arithmetic coding
    /// (for which the data is no more than noise).
    pub coding: u8,
    /// Samples across and down of each component.
    pub components: Vec<(u8, u8)>,
    /// One scan for each component instead of one for all.
    pub apart: bool,
    /// Units between two restarts; 0 for none.
    pub restart: u16,
    /// The colour transform of an Adobe segment.
    pub adobe: Option<u8>,
    pub orientation: Option<u8>,
    pub profile: Option<Vec<u8>>,
    /// Steps of the quantisation.
    pub step: u8,
    /// Places at which the finished file is changed, and what with.
    pub damage: Vec<(u16, u8)>,
}

/// The samplings that most encoders write, of three components.
const USUAL: [(u8, u8); 6] = [(1, 1), (2, 1), (2, 2), (1, 2), (4, 1), (1, 4)];

impl<'a> Arbitrary<'a> for Recipe {
    fn arbitrary(bytes: &mut Unstructured<'a>) -> Result<Self> {
        let (width, height) = size(bytes)?;
        let coding = *bytes.choose(&[0, 0, 0, 1, 2, 2, 9, 10])?;
        let components = components(bytes)?;
        let apart = bytes.ratio(1, 4)?;
        let restart = if bytes.ratio(1, 4)? { bytes.int_in_range(1..=9)? } else { 0 };
        let adobe = if bytes.ratio(1, 4)? { Some(bytes.int_in_range(0..=3)?) } else { None };
        let orientation = if bytes.arbitrary()? { Some(bytes.int_in_range(0..=9)?) } else { None };
        let profile = if bytes.ratio(1, 16)? { Some(profile(bytes)?) } else { None };
        let step = bytes.int_in_range(1..=255)?;
        let mut damage = Vec::new();
        if bytes.ratio(1, 3)? {
            for _ in 0..bytes.int_in_range(1..=4)? {
                damage.push(bytes.arbitrary()?);
            }
        }
        Ok(Recipe { width, height, coding, components, apart, restart, adobe, orientation, profile, step, damage })
    }
}

/// Mostly tiny; sometimes over the smallest box, sometimes over the largest.
fn size(bytes: &mut Unstructured<'_>) -> Result<(u16, u16)> {
    let (long, short) = match bytes.int_in_range(0..=7)? {
        0 => (bytes.int_in_range(2_400..=5_100)?, bytes.int_in_range(1..=3)?),
        1 | 2 => (bytes.int_in_range(115..=320)?, bytes.int_in_range(1..=25)?),
        _ => (bytes.int_in_range(1..=64)?, bytes.int_in_range(1..=64)?),
    };
    Ok(if bytes.arbitrary()? { (long, short) } else { (short, long) })
}

fn components(bytes: &mut Unstructured<'_>) -> Result<Vec<(u8, u8)>> {
    let count = *bytes.choose(&[1, 3, 3, 3, 3, 3, 4, 2])?;
    let mut components = vec![(1, 1); count];
    if bytes.ratio(2, 3)? {
        components[0] = *bytes.choose(&USUAL)?;
    } else {
        for component in &mut components {
            *component = (bytes.int_in_range(1..=4)?, bytes.int_in_range(1..=4)?);
        }
    }
    Ok(components)
}

/// A profile of each kind of colours, or anything.
fn profile(bytes: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    use moxcms::ColorProfile;
    let profile = match bytes.int_in_range(0..=3)? {
        0 => ColorProfile::new_display_p3(),
        1 => ColorProfile::new_srgb(),
        2 => ColorProfile::new_gray_with_gamma(1.8),
        _ => return Ok(bytes.bytes(bytes.len().min(200))?.to_vec()),
    };
    let mut profile = profile.encode().unwrap_or_default();
    if bytes.arbitrary()? {
        let place: u16 = bytes.arbitrary()?;
        let length = profile.len();
        profile[usize::from(place) % length] ^= bytes.arbitrary::<u8>()?;
    }
    Ok(profile)
}

impl Recipe {
    /// Whether every reader has to take the file: a coding and a sampling that are in daily use, and nothing damaged.
    pub fn is_sound(&self) -> bool {
        let chroma_is_plain = self.components.iter().skip(1).all(|component| *component == (1, 1));
        let is_usual = match self.components.len() {
            1 => true,
            3 => chroma_is_plain && USUAL.contains(&self.components[0]),
            _ => false,
        };
        is_usual && self.coding <= 2 && self.damage.is_empty()
    }

    /// Width and height as the picture is looked at.
    pub fn upright(&self) -> (u32, u32) {
        let (width, height) = (self.width.into(), self.height.into());
        if matches!(self.orientation, Some(5..=8)) { (height, width) } else { (width, height) }
    }

    /// The file.
    pub fn write(&self, coefficients: &[u8]) -> Vec<u8> {
        let mut writer = Writer { recipe: self, file: b"\xff\xd8".to_vec(), bits: 0, pending: 0, coefficients };
        writer.headers();
        writer.scans();
        writer.file.extend(b"\xff\xd9");
        let mut file = writer.file;
        for (place, change) in &self.damage {
            let length = file.len();
            file[usize::from(*place) % length] ^= change;
        }
        file
    }
}

/// Which part of each block a scan holds.
#[derive(Clone, Copy, PartialEq)]
enum Band {
    All,
    First,
    Others,
}

struct Writer<'a> {
    recipe: &'a Recipe,
    file: Vec<u8>,
    /// Bits of the byte under way, and how many there are.
    bits: u8,
    pending: u8,
    coefficients: &'a [u8],
}

impl Writer<'_> {
    fn segment(&mut self, marker: u8, payload: &[u8]) {
        self.file.extend([0xff, marker]);
        self.file.extend((payload.len() as u16 + 2).to_be_bytes());
        self.file.extend(payload);
    }

    fn headers(&mut self) {
        let recipe = self.recipe;
        if let Some(value) = recipe.orientation {
            let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0";
            self.segment(0xe1, &[exif.as_slice(), &[value, 0, 0, 0, 0, 0, 0]].concat());
        }
        if let Some(transform) = recipe.adobe {
            self.segment(0xee, &[b"Adobe\0\x64\0\0\0\0".as_slice(), &[transform]].concat());
        }
        if let Some(profile) = &recipe.profile {
            let half = profile.len() / 2;
            self.segment(0xe2, &[b"ICC_PROFILE\0\x01\x02", &profile[..half]].concat());
            self.segment(0xe2, &[b"ICC_PROFILE\0\x02\x02", &profile[half..]].concat());
        }
        self.segment(0xdb, &[[0].as_slice(), &[recipe.step; 64]].concat());
        let [height_high, height_low] = recipe.height.to_be_bytes();
        let [width_high, width_low] = recipe.width.to_be_bytes();
        let count = recipe.components.len() as u8;
        let mut frame = vec![8, height_high, height_low, width_high, width_low, count];
        for (number, (across, down)) in (1..).zip(&recipe.components) {
            frame.extend([number, across << 4 | down, 0]);
        }
        self.segment(0xc0 | recipe.coding, &frame);
        self.segment(0xc4, &code_table(0x00, &FIRST_SYMBOLS, 4));
        self.segment(0xc4, &code_table(0x10, &other_symbols(), 8));
        if recipe.restart > 0 {
            self.segment(0xdd, &recipe.restart.to_be_bytes());
        }
    }

    fn scans(&mut self) {
        let all: Vec<usize> = (0..self.recipe.components.len()).collect();
        let is_progressive = matches!(self.recipe.coding, 2 | 10);
        let first = if is_progressive { Band::First } else { Band::All };
        if self.recipe.apart {
            all.iter().for_each(|component| self.scan(&[*component], first));
        } else {
            self.scan(&all, first);
        }
        if is_progressive {
            // Only the first band may be interleaved.
            all.iter().for_each(|component| self.scan(&[*component], Band::Others));
        }
    }

    fn scan(&mut self, members: &[usize], band: Band) {
        let mut header = vec![members.len() as u8];
        header.extend(members.iter().flat_map(|component| [*component as u8 + 1, 0]));
        header.extend(match band {
            Band::All => [0, 63, 0],
            Band::First => [0, 0, 0],
            Band::Others => [1, 63, 0],
        });
        self.segment(0xda, &header);
        let blocks_of = |(across, down): (u8, u8)| usize::from(across) * usize::from(down);
        let blocks: usize = match members {
            [_] => 1,
            _ => members.iter().map(|component| blocks_of(self.recipe.components[*component])).sum(),
        };
        for unit in 0..self.units(members) {
            let restart = u32::from(self.recipe.restart);
            if restart > 0 && unit > 0 && unit % restart == 0 {
                self.align();
                self.file.extend([0xff, 0xd0 | ((unit / restart - 1) % 8) as u8]);
            }
            for _ in 0..blocks {
                self.block(band);
            }
        }
        self.align();
    }

    /// A scan of one component has units of one block, of several components one of all blocks that lie together.
    fn units(&self, members: &[usize]) -> u32 {
        let components = &self.recipe.components;
        let most = |factor: fn(&(u8, u8)) -> u8| u32::from(components.iter().map(factor).max().unwrap_or(1));
        let (most_across, most_down) = (most(|component| component.0), most(|component| component.1));
        let (width, height) = (u32::from(self.recipe.width), u32::from(self.recipe.height));
        match members {
            [component] => {
                let (across, down) = components[*component];
                let columns = (width * u32::from(across)).div_ceil(most_across).div_ceil(8);
                columns * (height * u32::from(down)).div_ceil(most_down).div_ceil(8)
            }
            _ => width.div_ceil(8 * most_across) * height.div_ceil(8 * most_down),
        }
    }

    /// Without bytes left, a block is empty.
    fn block(&mut self, band: Band) {
        if band != Band::Others {
            let size = self.byte() % 12;
            self.put(size.into(), 4);
            let value = self.value();
            self.put(value, size);
        }
        if band != Band::First {
            let mut place = 1;
            for _ in 0..self.byte() % 4 {
                let (run, size) = (self.byte() % 16, self.byte() % 10 + 1);
                if place + run > 63 {
                    break;
                }
                self.put(u16::from(run) * 10 + u16::from(size) - 1, 8);
                let value = self.value();
                self.put(value, size);
                place += run + 1;
            }
            if place <= 63 {
                self.put(END_OF_BLOCK, 8);
            }
        }
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.coefficients.split_first() else { return 0 };
        self.coefficients = rest;
        *first
    }

    fn value(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Writes the last `count` bits.
    fn put(&mut self, bits: u16, count: u8) {
        for place in (0..count).rev() {
            self.bits = self.bits << 1 | (bits >> place & 1) as u8;
            self.pending += 1;
            if self.pending == 8 {
                self.file.push(self.bits);
                if self.bits == 0xff {
                    self.file.push(0);
                }
                (self.bits, self.pending) = (0, 0);
            }
        }
    }

    /// Fills the byte under way with ones.
    fn align(&mut self) {
        while self.pending != 0 {
            self.put(1, 1);
        }
    }
}

/// Sizes of the first coefficient, each with a code of 4 bits.
const FIRST_SYMBOLS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/// Behind the codes of 16 runs with 10 sizes each.
const END_OF_BLOCK: u16 = 160;

/// Run and size of each other coefficient, each with a code of 8 bits.
fn other_symbols() -> Vec<u8> {
    let pairs = (0..16).flat_map(|run| (1..=10).map(move |size| run << 4 | size));
    pairs.chain([0]).collect()
}

/// A Huffman table in which all codes have the same length.
fn code_table(class: u8, symbols: &[u8], length: usize) -> Vec<u8> {
    let mut counts = [0; 16];
    counts[length - 1] = symbols.len() as u8;
    [[class].as_slice(), &counts, symbols].concat()
}
