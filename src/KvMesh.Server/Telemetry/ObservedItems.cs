using System.Diagnostics.Metrics;

namespace KvMesh.Server.Telemetry;

/// <summary>Instruments over the same items: each gives one measurement an item, under the item's name.</summary>
/// <param name="meter">Where the instruments are.</param>
/// <param name="items">The items now.</param>
/// <param name="tag">What the name of an item is called; null: there is only one, without a name.</param>
/// <param name="nameOf">Name of an item.</param>
internal sealed class ObservedItems<T>(Meter meter, Func<IReadOnlyList<T>> items, string? tag, Func<T, string> nameOf)
{
    /// <summary>One item without a name.</summary>
    public static ObservedItems<T> One(Meter meter, Func<T> item) => new(meter, () => [item()], null, _ => "");

    public ObservedItems<T> Gauge(string name, string unit, string description, Func<T, long> value)
    {
        meter.CreateObservableGauge(name, () => Each(value), unit, description);
        return this;
    }

    public ObservedItems<T> Ratio(string name, string description, Func<T, double> value)
    {
        meter.CreateObservableGauge(name, () => Each(value), "1", description);
        return this;
    }

    public ObservedItems<T> Counter(string name, string unit, string description, Func<T, long> value)
    {
        meter.CreateObservableCounter(name, () => Each(value), unit, description);
        return this;
    }

    private IEnumerable<Measurement<TValue>> Each<TValue>(Func<T, TValue> value)
        where TValue : struct => items().Select(item => new Measurement<TValue>(value(item), TagsOf(item)));

    private KeyValuePair<string, object?>[] TagsOf(T item) => tag is null ? [] : [new(tag, nameOf(item))];
}
