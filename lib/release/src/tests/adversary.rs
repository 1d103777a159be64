//! Exact linear algebra: of which groups of meters do answers give a combination?

/// What is known: a row of whole numbers for each answer, a column for each number that somebody has. `columns[m]` are those of meter m.
pub(super) struct Knowledge {
    pub(super) rows: Vec<Vec<i64>>,
    pub(super) columns: Vec<Vec<usize>>,
}

impl Knowledge {
    /// The first group, as bits, for which `forbids` holds and which a combination of the rows is about: all of the group's meters
    /// and nobody else has a number in it that is not zero.
    ///
    /// Exact: over the rationals, the combinations that are zero outside the group are a vector space, and a space has a
    /// vector that is nowhere zero on a set of meters if for each of them it has one that is not zero there.
    pub(super) fn isolates(&self, forbids: impl Fn(u32) -> bool) -> Option<u32> {
        let groups = (1..1_u32 << self.columns.len()).filter(|group| forbids(*group));
        let mut groups = groups.filter(|group| self.is_support(*group));
        groups.next()
    }

    /// How many independent combinations of the rows are zero outside a group.
    pub(super) fn rank_within(&self, group: u32) -> usize {
        let outside = (0..self.columns.len()).filter(|meter| group >> meter & 1 == 0);
        let outside: Vec<usize> = outside
            .flat_map(|meter| self.columns[meter].clone())
            .collect();
        let space = zero_on(self.rows.clone(), &outside);
        let width = self.rows.first().map_or(0, Vec::len);
        let count = space.len();
        // What is left after all columns are made zero are the rows that depended on others.
        let left = zero_on(space, &(0..width).collect::<Vec<_>>());
        count - left.len()
    }

    fn is_support(&self, group: u32) -> bool {
        let inside = |meter: usize| group >> meter & 1 == 1;
        let meters = 0..self.columns.len();
        let outside = meters.clone().filter(|meter| !inside(*meter));
        let outside: Vec<usize> = outside
            .flat_map(|meter| self.columns[meter].clone())
            .collect();
        let space = zero_on(self.rows.clone(), &outside);
        meters.filter(|meter| inside(*meter)).all(|meter| {
            let columns = &self.columns[meter];
            let is_about = |row: &Vec<i64>| columns.iter().any(|column| row[*column] != 0);
            space.iter().any(is_about)
        })
    }
}

/// Rows that span the combinations of `rows` that are zero in these columns: Gaussian elimination in whole numbers.
fn zero_on(mut rows: Vec<Vec<i64>>, columns: &[usize]) -> Vec<Vec<i64>> {
    for &column in columns {
        let Some(at) = rows.iter().position(|row| row[column] != 0) else {
            continue;
        };
        let pivot = rows.swap_remove(at);
        for row in &mut rows {
            let (a, b) = (pivot[column], row[column]);
            if b != 0 {
                for (value, other) in row.iter_mut().zip(&pivot) {
                    *value = *value * a - other * b;
                }
                shorten(row);
            }
        }
    }
    rows
}

/// Divides a row by what all its numbers are multiples of.
fn shorten(row: &mut [i64]) {
    let divisor = row
        .iter()
        .fold(0, |divisor, value| gcd(divisor, value.abs()));
    if divisor > 1 {
        row.iter_mut().for_each(|value| *value /= divisor);
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    match b {
        0 => a,
        _ => gcd(b, a % b),
    }
}

#[test]
fn the_adversary_finds_what_combinations_of_totals_are_about() {
    let known = |rows: &[[i64; 4]]| Knowledge {
        rows: rows.iter().map(|row| row.to_vec()).collect(),
        columns: (0..4).map(|column| vec![column]).collect(),
    };
    let smaller_than = |least: u32| move |group: u32| group.count_ones() < least;
    // A difference of two, and what needs three.
    assert_eq!(
        known(&[[1, 1, 1, 0], [1, 1, 1, 1]]).isolates(smaller_than(2)),
        Some(0b1000)
    );
    let three = known(&[[1, 1, 0, 0], [0, 1, 1, 0], [1, 0, 1, 0]]);
    assert_eq!(three.isolates(smaller_than(2)), Some(0b0001));
    let disjoint = known(&[[1, 1, 0, 0], [0, 0, 1, 1]]);
    assert_eq!(disjoint.isolates(smaller_than(2)), None);
    assert_eq!(disjoint.isolates(smaller_than(3)), Some(0b0011));
    assert_eq!(known(&[]).isolates(|_| true), None);
}
