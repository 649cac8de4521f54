namespace KvMesh.Codecs.Bases;

/// <summary>Axes of a symmetric matrix by Jacobi's rotations.</summary>
internal static class SymmetricEigen
{
    private const int MostSweeps = 40;
    private const double Tolerance = 1e-22;

    /// <summary>Eigenvalues, largest first, and their vectors one after the other. Spoils the matrix.</summary>
    public static (double[] Values, double[] Vectors) Solve(double[] matrix, int size)
    {
        var vectors = new double[size * size];
        for (var index = 0; index < size; index++)
        {
            vectors[(index * size) + index] = 1;
        }

        for (var sweep = 0; sweep < MostSweeps && !IsDiagonal(matrix, size); sweep++)
        {
            for (var first = 0; first < size - 1; first++)
            {
                for (var second = first + 1; second < size; second++)
                {
                    Rotate(matrix, vectors, size, first, second);
                }
            }
        }

        int[] order = [.. Enumerable.Range(0, size).OrderByDescending(index => matrix[(index * size) + index]).ThenBy(index => index)];
        return ([.. order.Select(index => matrix[(index * size) + index])], [.. order.SelectMany(index => vectors.AsSpan(index * size, size).ToArray())]);
    }

    private static bool IsDiagonal(double[] matrix, int size)
    {
        double outside = 0, all = 0;
        for (var index = 0; index < matrix.Length; index++)
        {
            var square = matrix[index] * matrix[index];
            all += square;
            outside += index / size == index % size ? 0 : square;
        }

        return outside <= Tolerance * all;
    }

    /// <summary>Makes the two elements outside the diagonal zero. Vectors are rows.</summary>
    private static void Rotate(double[] matrix, double[] vectors, int size, int first, int second)
    {
        var outside = matrix[(first * size) + second];
        if (outside == 0)
        {
            return;
        }

        var theta = (matrix[(second * size) + second] - matrix[(first * size) + first]) / (2 * outside);
        var tangent = (theta < 0 ? -1 : 1) / (Math.Abs(theta) + Math.Sqrt((theta * theta) + 1));
        var cosine = 1 / Math.Sqrt((tangent * tangent) + 1);
        var sine = tangent * cosine;
        for (var index = 0; index < size; index++)
        {
            ref var a = ref matrix[(index * size) + first];
            ref var b = ref matrix[(index * size) + second];
            (a, b) = ((cosine * a) - (sine * b), (sine * a) + (cosine * b));
        }

        Turn(matrix.AsSpan(first * size, size), matrix.AsSpan(second * size, size), cosine, sine);
        Turn(vectors.AsSpan(first * size, size), vectors.AsSpan(second * size, size), cosine, sine);
    }

    private static void Turn(Span<double> first, Span<double> second, double cosine, double sine)
    {
        for (var index = 0; index < first.Length; index++)
        {
            var (a, b) = (first[index], second[index]);
            first[index] = (cosine * a) - (sine * b);
            second[index] = (sine * a) + (cosine * b);
        }
    }
}
