namespace KvMesh.Worker.Model.Files;

/// <summary>How the numbers of a tensor are stored in a safetensors file.</summary>
public enum TensorElement : byte
{
    Bool,
    U8,
    I8,
    F8E4M3,
    F8E5M2,
    I16,
    U16,
    F16,
    BF16,
    I32,
    U32,
    F32,
    I64,
    U64,
    F64,
}

/// <summary>Names and sizes of a <see cref="TensorElement"/>.</summary>
public static class TensorElements
{
    /// <summary>The element with a name of the format, as <c>BF16</c>.</summary>
    public static bool TryParse(string name, out TensorElement element)
    {
        TensorElement? known = name switch
        {
            "BOOL" => TensorElement.Bool,
            "U8" => TensorElement.U8,
            "I8" => TensorElement.I8,
            "F8_E4M3" => TensorElement.F8E4M3,
            "F8_E5M2" => TensorElement.F8E5M2,
            "I16" => TensorElement.I16,
            "U16" => TensorElement.U16,
            "F16" => TensorElement.F16,
            "BF16" => TensorElement.BF16,
            "I32" => TensorElement.I32,
            "U32" => TensorElement.U32,
            "F32" => TensorElement.F32,
            "I64" => TensorElement.I64,
            "U64" => TensorElement.U64,
            "F64" => TensorElement.F64,
            _ => null,
        };
        element = known.GetValueOrDefault();
        return known is not null;
    }

    /// <summary>Bytes of one number.</summary>
    public static int Bytes(this TensorElement element) => element switch
    {
        <= TensorElement.F8E5M2 => 1,
        <= TensorElement.BF16 => 2,
        <= TensorElement.F32 => 4,
        _ => 8,
    };
}
