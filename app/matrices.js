// Small matrices, as arrays of rows, and vectors, as arrays.

export const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
export const times = (matrix, vector) => matrix.map((row) => dot(row, vector));
export const add = (a, b) => a.map((value, i) => value + b[i]);
export const addMatrices = (a, b) => a.map((row, i) => add(row, b[i]));
export const scale = (vector, factor) => vector.map((value) => value * factor);
export const scaleMatrix = (matrix, factor) => matrix.map((row) => scale(row, factor));
export const diagonal = (values) =>
  values.map((value, i) => values.map((_, k) => (i === k ? value : 0)));

/** The solutions of `matrix` X = `right`, both matrices, by Gaussian elimination with pivoting. */
export function solveMatrix(matrix, right) {
  const size = matrix.length;
  const rows = matrix.map((row, i) => [...row, ...right[i]]);
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let row = column + 1; row < size; row++) {
      if (Math.abs(rows[row][column]) > Math.abs(rows[pivot][column])) pivot = row;
    }
    [rows[column], rows[pivot]] = [rows[pivot], rows[column]];
    rows[column] = scale(rows[column], 1 / rows[column][column]);
    for (let row = 0; row < size; row++) {
      if (row !== column) rows[row] = add(rows[row], scale(rows[column], -rows[row][column]));
    }
  }
  return rows.map((row) => row.slice(size));
}

/** The solution of `matrix` x = `right`, a vector. */
export function solve(matrix, right) {
  return solveMatrix(matrix, right.map((value) => [value])).flat();
}

export const inverse = (matrix) => solveMatrix(matrix, diagonal(matrix.map(() => 1)));
